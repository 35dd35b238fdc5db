//! A file that other processes touch to be noticed, as something the loop can wait for (`inotify`). While nobody does,
//! waiting costs nothing.

use crate::io::reactor::{Direction, Source, owned};
use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

/// Waits for a file to be closed by somebody who had it open for writing.
pub struct Watch {
    source: Source,
    descriptor: OwnedFd,
}

impl Watch {
    /// Watches a file that is there.
    ///
    /// # Errors
    /// When the kernel refuses: there is a limit on these.
    pub fn new(path: &Path) -> io::Result<Watch> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: both calls take what lives for as long as they run.
        let descriptor = unsafe {
            let descriptor = owned(libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC))?;
            if libc::inotify_add_watch(descriptor.as_raw_fd(), path.as_ptr(), libc::IN_CLOSE_WRITE) == -1 {
                return Err(io::Error::last_os_error());
            }
            descriptor
        };
        Ok(Watch { source: Source::new(descriptor.as_raw_fd())?, descriptor })
    }

    /// Waits until the file has been closed since the last call, once or more often.
    ///
    /// # Errors
    /// Those of the read.
    pub async fn touched(&self) -> io::Result<()> {
        // What happened in detail is of no interest, but it has to be read for the next wait.
        let mut buffer = [0u8; 4096];
        let fd = self.descriptor.as_raw_fd();
        self.source
            .perform(Direction::Read, || {
                // SAFETY: reads into a buffer of the length that is given.
                match unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) } {
                    -1 => Err(io::Error::last_os_error()),
                    _ => Ok(()),
                }
            })
            .await
    }
}
