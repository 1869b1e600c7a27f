//! Tells file systems over a network, which LMDB must not be used on: its locks hold on one
//! machine only, and what one machine maps another does not see.

use std::path::Path;

/// The names of their types on Linux, and those that follow `fuse.` on FUSE.
///
/// 9p is not among them: sandboxes and virtual machines use it for their own disks.
#[cfg(any(target_os = "linux", test))]
const NETWORK: [&str; 25] = [
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "curlftpfs",
    "davfs",
    "davfs2",
    "gcsfuse",
    "glusterfs",
    "goofys",
    "gpfs",
    "juicefs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "rclone",
    "s3fs",
    "smb2",
    "smb3",
    "smbfs",
    "smbnetfs",
    "sshfs",
];

/// The type of the file system that the folder is on, if that is one over a network.
#[cfg(target_os = "linux")]
pub(super) fn network_type(folder: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let device = std::fs::metadata(folder).ok()?.dev();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let kind = type_of(&mounts, major(device), minor(device))?;
    is_network(kind).then(|| kind.to_owned())
}

/// On Windows, the path of a share has another prefix than that of a disk.
#[cfg(windows)]
pub(super) fn network_type(folder: &Path) -> Option<String> {
    use std::path::{Component, Prefix};

    match folder.components().next()? {
        Component::Prefix(prefix) => match prefix.kind() {
            Prefix::UNC(..) | Prefix::VerbatimUNC(..) => Some("a network share".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
pub(super) fn network_type(_: &Path) -> Option<String> {
    None
}

/// The type of the mount that has the device, in the lines of `proc_pid_mountinfo(5)`.
#[cfg(any(target_os = "linux", test))]
fn type_of(mounts: &str, major: u64, minor: u64) -> Option<&str> {
    let device = format!("{major}:{minor}");
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device))?;
    mount.split_once(" - ")?.1.split(' ').next()
}

#[cfg(any(target_os = "linux", test))]
fn is_network(kind: &str) -> bool {
    NETWORK.contains(&kind.strip_prefix("fuse.").unwrap_or(kind))
}

/// The halves of a device's number, as glibc and musl lay them out.
#[cfg(target_os = "linux")]
fn major(device: u64) -> u64 {
    (device >> 32) & 0xFFFF_F000 | (device >> 8) & 0xFFF
}

#[cfg(target_os = "linux")]
fn minor(device: u64) -> u64 {
    (device >> 12) & 0xFFFF_FF00 | device & 0xFF
}

#[cfg(test)]
mod tests;
