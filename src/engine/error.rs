//! Why an engine has failed, as far as the store has to know.

/// What an engine fails with. Its text says what could not be done, and why.
pub trait Failure: std::error::Error + Send + Sync {
    /// A code for the cause: the system's, by the name that Node.js gives it, or one of this store.
    /// `None` for rare causes.
    fn code(&self) -> Option<&'static str>;
}

/// Why an operation of an engine has failed.
pub type Error = Box<dyn Failure>;

/// The result of an engine's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
