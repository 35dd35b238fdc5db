//! What the process that started this one wants to be told (sd_notify(3)): one datagram a message.
//!
//! Not here: what is said, and when (`cli/service.rs`).

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Where messages go.
pub struct Notifier {
    socket: UnixDatagram,
    place: SocketAddr,
}

impl Notifier {
    /// Speaks to a socket by its path or, where the name begins with `@`, by its name in the abstract.
    ///
    /// # Errors
    /// When the name is neither, or no socket can be made.
    pub fn to(name: &OsStr) -> io::Result<Notifier> {
        let place = match name.as_bytes() {
            [b'@', abstracted @ ..] => SocketAddr::from_abstract_name(abstracted)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        };
        Ok(Notifier { socket: UnixDatagram::unbound()?, place })
    }

    /// The same for another thread.
    ///
    /// # Errors
    /// Those of the system call.
    pub fn another(&self) -> io::Result<Notifier> {
        Ok(Notifier { socket: self.socket.try_clone()?, place: self.place.clone() })
    }

    /// From now on a message is dropped where it would have to wait: on the loop nothing waits.
    ///
    /// # Errors
    /// Those of the system call.
    pub fn never_wait(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)
    }

    /// Sends assignments, one a line.
    ///
    /// # Errors
    /// When nobody is there any more, or does not take it.
    pub fn say(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.place).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_or_abstract_and_nothing_else() {
        let name = format!("deuced-notify-{}", std::process::id());
        let ear = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::to(OsStr::new(&format!("@{name}"))).unwrap().say("READY=1").unwrap();
        let mut heard = [0; 16];
        assert_eq!(ear.recv(&mut heard).unwrap(), 7);
        for bad in ["", "run/notify", "vsock:2:3"] {
            assert!(Notifier::to(OsStr::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_full_queue_does_not_hold_up_the_loop() {
        let name = format!("deuced-deaf-{}", std::process::id());
        let _deaf = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier = Notifier::to(OsStr::new(&format!("@{name}"))).unwrap();
        notifier.never_wait().unwrap();
        let refused =
            (0..100_000).find_map(|_| notifier.say("WATCHDOG=1").err()).expect("the queue has an end");
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    }
}
