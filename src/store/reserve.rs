//! Space that is kept back for the day when the disk is full: a file that holds nothing.

use crate::io::disk;
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

/// Where the reserve of a data directory is.
pub fn path(data: &Path) -> PathBuf {
    data.join("reserve")
}

/// Makes the reserve of so many bytes, unless it is there. It really takes the space.
///
/// # Errors
/// When there is no space for it; then none is taken.
pub fn make(data: &Path, bytes: u64) -> io::Result<()> {
    let path = path(data);
    let is_there = |path: &Path| {
        // Blocks of 512 bytes, whatever the file system's own are (stat(2)).
        fs::metadata(path).is_ok_and(|file| file.len() == bytes && file.blocks() * 512 >= bytes)
    };
    if bytes == 0 {
        return release(data).map(|_| ());
    }
    if is_there(&path) {
        return Ok(());
    }
    let _ = release(data);
    let made = File::create(&path).and_then(|file| allocate(&file, bytes));
    if made.is_err() {
        let _ = release(data);
    }
    made
}

/// Gives the space free, and says whether there was any.
///
/// # Errors
/// When the file is there and cannot be removed.
pub fn release(data: &Path) -> io::Result<bool> {
    let was_there = disk::remove(&path(data))?;
    if was_there {
        // The space is only free when the file system has noted that the file is gone.
        let _ = disk::sync(data);
    }
    Ok(was_there)
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    let length = libc::off64_t::try_from(bytes).map_err(|_| ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open for as long as the file lives.
    if unsafe { libc::fallocate64(file.as_raw_fd(), 0, 0, length) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // A file system that cannot take space without being written to.
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => fill(file, bytes),
        _ => Err(error),
    }
}

fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    let block = [0xd5_u8; 65_536];
    let mut left = bytes;
    while left > 0 {
        let count = left.min(block.len() as u64);
        file.write_all(&block[..count as usize])?;
        left -= count;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_space_until_it_is_released() {
        let data = std::env::temp_dir().join(format!("deuced-reserve-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        make(&data, 1 << 20).unwrap();
        let taken = fs::metadata(path(&data)).unwrap();
        assert!(taken.blocks() * 512 >= 1 << 20, "{}", taken.blocks());
        // Another size is another file; the same is left as it is.
        make(&data, 2 << 20).unwrap();
        let made = fs::metadata(path(&data)).unwrap().modified().unwrap();
        make(&data, 2 << 20).unwrap();
        assert_eq!(fs::metadata(path(&data)).unwrap().modified().unwrap(), made);
        assert!(release(&data).unwrap());
        assert!(!release(&data).unwrap());
        fill(&File::create(path(&data)).unwrap(), 100_000).unwrap();
        assert_eq!(fs::metadata(path(&data)).unwrap().len(), 100_000);
        make(&data, 0).unwrap();
        assert!(!path(&data).exists(), "none is wanted");
        fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn what_there_is_no_space_for_leaves_nothing() {
        let data = std::env::temp_dir().join(format!("deuced-reserve-none-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        assert!(make(&data, 1 << 60).is_err());
        assert!(!path(&data).exists());
        fs::remove_dir_all(&data).unwrap();
    }
}
