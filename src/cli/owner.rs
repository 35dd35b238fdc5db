//! Root on somebody else's data directory: whoever runs a command with `sudo` must not leave files there that the server
//! cannot write.
//!
//! SQLite makes the files beside the database as whoever opens it first. So root becomes whom the directory belongs to,
//! for good, before anything in it is opened. That goes for `serve` as well.

use std::{
    ffi::{CStr, CString},
    fs, io, mem,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    ptr,
    sync::OnceLock,
};

/// Whom root has become.
static BECAME: OnceLock<String> = OnceLock::new();

/// Whom this process has become, if it has.
pub fn became() -> Option<&'static str> {
    BECAME.get().map(String::as_str)
}

/// Becomes the owner of a data directory that is there, if this is root and that is not. There must be one thread only.
///
/// # Errors
/// When the kernel refuses; then nothing was opened yet.
pub fn become_owner(data: &Path) -> Result<(), String> {
    // SAFETY: only asks.
    let is_root = unsafe { libc::geteuid() } == 0;
    let Some(about) = fs::metadata(data).ok().filter(|about| is_root && about.uid() != 0) else {
        return Ok(());
    };
    let (name, group) = match account(about.uid()) {
        Some((name, group)) => (Some(name), group),
        None => (None, about.gid()),
    };
    let shown =
        name.as_ref().map_or_else(|| about.uid().to_string(), |name| name.to_string_lossy().into_owned());
    change(about.uid(), group, name.as_deref()).map_err(|error| {
        format!("{} belongs to {shown}, and root cannot go on as {shown}: {error}", data.display())
    })?;
    let _ = BECAME.set(shown);
    Ok(())
}

fn change(user: libc::uid_t, group: libc::gid_t, name: Option<&CStr>) -> io::Result<()> {
    let done = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: the name and the list live through the calls, and no other thread is there to have other rights.
    unsafe {
        // Of all groups those of that user are left, or else the one.
        match name {
            Some(name) => done(libc::initgroups(name.as_ptr(), group as _))?,
            None => done(libc::setgroups(1, &raw const group))?,
        }
        done(libc::setgid(group))?;
        done(libc::setuid(user))?;
        // There is no way back.
        match libc::setuid(0) {
            0 => Err(io::Error::other("it is still root")),
            _ => Ok(()),
        }
    }
}

/// What the system calls somebody, and their group.
fn account(user: libc::uid_t) -> Option<(CString, libc::gid_t)> {
    let mut buffer = vec![0; 16 << 10];
    // SAFETY: the structure and the buffer are ours and live longer than what points into them.
    unsafe {
        let mut entry: libc::passwd = mem::zeroed();
        let mut found = ptr::null_mut();
        libc::getpwuid_r(user, &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found);
        (!found.is_null()).then(|| (CStr::from_ptr(entry.pw_name).to_owned(), entry.pw_gid))
    }
}

/// An error of a file or folder, with the name of whom we have become where that may be the reason.
pub fn explain(path: &Path, error: &io::Error) -> String {
    match became().filter(|_| error.kind() == io::ErrorKind::PermissionDenied) {
        Some(name) => format!(
            "{}: {error} for {name}, to whom the diary belongs, and as whom this runs: give it to {name}, or say another",
            path.display()
        ),
        None => format!("{}: {error}", path.display()),
    }
}

/// Whether this process may make files in a folder.
///
/// # Errors
/// Why not.
pub fn may_write(folder: &Path) -> io::Result<()> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: the path lives through the call.
    match unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
