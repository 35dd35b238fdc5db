//! The signals that end the server, as something the loop can wait for.

use crate::io::reactor::{Direction, Source, owned};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

/// Waits for SIGTERM and SIGINT.
pub struct Termination {
    source: Source,
    descriptor: OwnedFd,
}

impl Termination {
    /// Takes over both signals. Must be called before the first thread is started, because threads
    /// inherit which signals are held back.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new() -> io::Result<Termination> {
        // SAFETY: the set is filled in by sigemptyset before anything reads it.
        let descriptor = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGTERM);
            libc::sigaddset(&mut set, libc::SIGINT);
            if libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            owned(libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC))?
        };
        Ok(Termination { source: Source::new(descriptor.as_raw_fd())?, descriptor })
    }

    /// Waits for the next of the two and says which it was.
    ///
    /// # Errors
    /// Those of the read.
    pub async fn wait(&self) -> io::Result<&'static str> {
        const LENGTH: usize = size_of::<libc::signalfd_siginfo>();
        let mut buffer = [0u8; LENGTH];
        let fd = self.descriptor.as_raw_fd();
        self.source
            .perform(Direction::Read, || {
                // SAFETY: reads into a buffer of the length that signalfd writes at a time.
                match unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), LENGTH) } {
                    -1 => Err(io::Error::last_os_error()),
                    _ => Ok(()),
                }
            })
            .await?;
        // The signal's number is the first field (signalfd(2)).
        let number = i32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        Ok(if number == libc::SIGINT { "SIGINT" } else { "SIGTERM" })
    }
}
