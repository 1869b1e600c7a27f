use super::*;

const MOUNTS: &str = "\
    22 27 0:21 / /proc rw,relatime - proc proc rw\n\
    27 1 254:0 / / rw,noatime shared:1 master:2 - ext4 /dev/vda rw\n\
    30 27 0:45 / /mnt/nfs rw - nfs4 10.0.0.1:/sessions rw,vers=4.2\n\
    31 27 0:46 / /mnt/ssh rw - fuse.sshfs user@host:/ rw\n\
    32 27 0:47 / /mnt/ntfs rw - fuseblk /dev/sdb1 rw\n";

#[test]
fn file_systems_over_a_network_are_told_by_their_type() {
    let kinds = [(254, 0), (0, 45), (0, 46), (0, 47)];
    let kinds = kinds.map(|(major, minor)| type_of(MOUNTS, major, minor).unwrap());
    assert_eq!(kinds, ["ext4", "nfs4", "fuse.sshfs", "fuseblk"]);
    assert_eq!(kinds.map(is_network), [false, true, true, false]);
    assert_eq!(type_of(MOUNTS, 9, 9), None);
    assert!(is_network("cifs") && is_network("smb3") && !is_network("overlay"));
    assert!(NETWORK.is_sorted());
}

#[cfg(target_os = "linux")]
#[test]
fn the_mount_of_a_folder_is_found() {
    use std::os::unix::fs::MetadataExt;

    let device = std::fs::metadata("/proc").unwrap().dev();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(type_of(&mounts, major(device), minor(device)), Some("proc"));
    assert_eq!(network_type(&std::env::temp_dir()), None);
}
