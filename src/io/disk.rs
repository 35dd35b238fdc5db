//! Disks: what the system says of one, and what is done to files wherever they have to last.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    time::{Duration, Instant},
};

/// The room on the disk that a path is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that may still be written by others than root.
    pub free: u64,
    /// All bytes.
    pub total: u64,
    /// Files that may still be made; `None` where there is no such number.
    pub files_free: Option<u64>,
}

/// How much room is left.
///
/// # Errors
/// Those of the system call.
pub fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: all bytes zero is a structure; the kernel fills it in. The path is a string that ends with a zero.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // On 32-bit systems the numbers are narrower.
    #[allow(clippy::useless_conversion)]
    let (block, available, blocks) =
        (u64::from(found.f_frsize), u64::from(found.f_bavail), u64::from(found.f_blocks));
    #[allow(clippy::useless_conversion)]
    let (files, files_free) = (u64::from(found.f_files), u64::from(found.f_favail));
    Ok(Space {
        free: available.saturating_mul(block),
        total: blocks.saturating_mul(block),
        files_free: (files > 0).then_some(files_free),
    })
}

/// Whether two paths are on one disk, as far as both are there.
pub fn are_together(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|about| about.dev()).ok();
    device(one) == device(other)
}

/// Has a file, or the names in a folder, on the card.
///
/// # Errors
/// Those of opening and syncing it.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a file, and says whether it was there.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a block of 4 KiB and syncs it, so often; how long each took, the quickest first. The file is removed.
///
/// # Errors
/// Those of writing.
pub fn time_syncs(folder: &Path, count: usize) -> io::Result<Vec<Duration>> {
    let path = folder.join(format!("doctor-{}.tmp", std::process::id()));
    let timed = File::create_new(&path).and_then(|mut file| {
        let block = [0x5a_u8; 4096];
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            file.write_all(&block)?;
            let begin = Instant::now();
            file.sync_data()?;
            times.push(begin.elapsed());
        }
        times.sort();
        Ok(times)
    });
    let removed = fs::remove_file(&path);
    let times = timed?;
    removed.map(|()| times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room_and_syncs_and_nothing_is_left() {
        let folder = std::env::temp_dir().join(format!("deuced-disk-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let space = space(&folder).unwrap();
        assert!(space.total >= space.free && space.total > 0, "{space:?}");
        let times = time_syncs(&folder, 3).unwrap();
        assert!(times.len() == 3 && times[0] <= times[2], "{times:?}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
        assert!(super::space(&folder).is_err() && time_syncs(&folder, 1).is_err());
    }
}
