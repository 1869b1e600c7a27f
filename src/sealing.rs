//! Encryption of what is stored: sealed with the first of several keys, opened with any of them.
//!
//! XChaCha20-Poly1305 with a random nonce for each body: 192 bits, so that no two are ever equal. The
//! sid is authenticated too, so a body cannot be moved to another session.

use chacha20poly1305::aead::{Aead, Generate, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::session::Encoding;

/// The length of a key in bytes.
pub const KEY_LENGTH: usize = 32;

/// Names a key without telling it.
type KeyId = [u8; 4];

const ID_LENGTH: usize = size_of::<KeyId>();
const NONCE_LENGTH: usize = 24;

/// How a sealed body begins: a byte for the encoding, which no JSON text begins with, the id of the
/// key, and the nonce. What was encrypted follows, and a tag of 16 bytes.
const HEADER: usize = 1 + ID_LENGTH + NONCE_LENGTH;

/// Why a sealed body cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It was sealed with a key that is not among these.
    OtherKey,
    /// It is not what was sealed for this sid.
    Changed,
}

/// Keys that seal and open.
pub struct Sealer {
    keys: Vec<(KeyId, XChaCha20Poly1305)>,
}

impl Sealer {
    /// Seals with the first of `keys`. Without any, nothing can be sealed.
    #[must_use]
    pub fn new(keys: &[[u8; KEY_LENGTH]]) -> Self {
        let keys = keys.iter().map(|key| (id_of(key), XChaCha20Poly1305::new(&Key::from(*key))));
        Self { keys: keys.collect() }
    }

    /// Seals a body for the session `sid`. `None` if there is no key, or no randomness.
    #[must_use]
    pub fn seal(&self, sid: &[u8], body: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
        let (id, cipher) = self.keys.first()?;
        let nonce = XNonce::try_generate().ok()?;
        let mut sealed = Vec::with_capacity(HEADER + body.len() + 16);
        sealed.push(encoding.code() + 1);
        sealed.extend_from_slice(id);
        sealed.extend_from_slice(&nonce);
        let aad = authenticated(sealed[0], sid);
        sealed.extend(cipher.encrypt(&nonce, Payload { msg: body, aad: &aad }).ok()?);
        Some(sealed)
    }

    /// The body that was sealed for the session `sid`, and its encoding.
    ///
    /// # Errors
    /// See [`Unopened`].
    pub fn open(&self, sid: &[u8], sealed: &[u8]) -> Result<(Vec<u8>, Encoding), Unopened> {
        let (header, encrypted) = sealed.split_at_checked(HEADER).ok_or(Unopened::Changed)?;
        let (id, nonce) = header[1..].split_at(ID_LENGTH);
        let code = header[0].checked_sub(1);
        let encoding = code.and_then(Encoding::of_code).ok_or(Unopened::Changed)?;
        let mut is_known = false;
        for (_, cipher) in self.keys.iter().filter(|(known, _)| known[..] == *id) {
            is_known = true;
            let nonce = XNonce::try_from(nonce).map_err(|_| Unopened::Changed)?;
            let aad = authenticated(header[0], sid);
            if let Ok(body) = cipher.decrypt(&nonce, Payload { msg: encrypted, aad: &aad }) {
                return Ok((body, encoding));
            }
        }
        Err(if is_known { Unopened::Changed } else { Unopened::OtherKey })
    }
}

/// What is authenticated beside the body.
fn authenticated(code: u8, sid: &[u8]) -> Vec<u8> {
    [&[code], sid].concat()
}

fn id_of(key: &[u8; KEY_LENGTH]) -> KeyId {
    let hash = Sha256::new().chain_update(b"memorystore-rs: the id of a key").chain_update(key);
    let mut id = KeyId::default();
    id.copy_from_slice(&hash.finalize()[..ID_LENGTH]);
    id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: [u8; KEY_LENGTH] = [1; KEY_LENGTH];
    const TWO: [u8; KEY_LENGTH] = [2; KEY_LENGTH];

    fn sealer(keys: &[[u8; KEY_LENGTH]]) -> Sealer {
        Sealer::new(keys)
    }

    #[test]
    fn what_was_sealed_is_opened_with_any_of_the_keys_and_its_sid() {
        let sealed = sealer(&[ONE]).seal(b"sid", b"body", Encoding::Utf8).unwrap();
        for keys in [&[ONE][..], &[TWO, ONE], &[ONE, TWO]] {
            let opened = sealer(keys).open(b"sid", &sealed);
            assert_eq!(opened, Ok((b"body".to_vec(), Encoding::Utf8)));
        }
        assert_eq!(sealer(&[TWO]).open(b"sid", &sealed), Err(Unopened::OtherKey));
        assert_eq!(sealer(&[]).open(b"sid", &sealed), Err(Unopened::OtherKey));
        assert_eq!(sealer(&[ONE]).open(b"other", &sealed), Err(Unopened::Changed));
    }

    #[test]
    fn the_first_key_seals() {
        let sealed = sealer(&[TWO, ONE]).seal(b"sid", b"body", Encoding::Ascii).unwrap();
        assert!(sealer(&[TWO]).open(b"sid", &sealed).is_ok());
        assert_eq!(sealer(&[ONE]).open(b"sid", &sealed), Err(Unopened::OtherKey));
        assert_eq!(sealer(&[]).seal(b"sid", b"body", Encoding::Ascii), None);
    }

    #[test]
    fn one_body_is_never_sealed_alike() {
        let sealer = sealer(&[ONE]);
        let seal = || sealer.seal(b"sid", b"body", Encoding::Ascii).unwrap();
        assert_ne!(seal(), seal());
    }

    proptest! {
        #[test]
        fn anything_comes_back(
            sid in prop::collection::vec(any::<u8>(), 0..40),
            body in prop::collection::vec(any::<u8>(), 0..2000),
            code in 0..Encoding::ALL.len(),
        ) {
            let sealer = sealer(&[ONE]);
            let sealed = sealer.seal(&sid, &body, Encoding::ALL[code]).unwrap();
            prop_assert_eq!(sealed.len(), HEADER + body.len() + 16);
            prop_assert_eq!(sealer.open(&sid, &sealed), Ok((body, Encoding::ALL[code])));
        }

        #[test]
        fn nothing_that_was_changed_is_opened(
            body in prop::collection::vec(any::<u8>(), 0..100),
            at in any::<prop::sample::Index>(),
            change in 1..=255_u8,
            length in any::<prop::sample::Index>(),
        ) {
            let sealer = sealer(&[ONE]);
            let sealed = sealer.seal(b"sid", &body, Encoding::Buffer).unwrap();
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= change;
            prop_assert!(sealer.open(b"sid", &changed).is_err());
            prop_assert!(sealer.open(b"sid", &sealed[..length.index(sealed.len())]).is_err());
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(sealer(&[ONE]).open(b"sid", &bytes).is_err());
        }
    }
}
