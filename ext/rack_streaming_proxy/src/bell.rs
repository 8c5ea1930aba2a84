//! What a waiting Ruby thread waits on: an eventfd (a pipe where there is none).
//!
//! Ruby waits through an `IO` on this descriptor and closes it through that `IO`, so that waiters
//! get their IOError; `release` comes first, and from then on ringing does nothing. An exchange
//! that Ruby dropped without closing it has no waiters: then, and only then, the descriptor is
//! closed here (the `IO` was made with `autoclose: false`).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct Ends {
    read: RawFd,
    write: RawFd,
}

/// A bell that can be rung from any thread.
#[derive(Debug)]
pub(crate) struct Bell {
    read: RawFd,
    ends: Mutex<Option<Ends>>,
}

impl Bell {
    pub(crate) fn shared() -> io::Result<Arc<Self>> {
        let ends = open()?;
        Ok(Arc::new(Bell { read: ends.read, ends: Mutex::new(Some(ends)) }))
    }

    /// The descriptor that becomes readable. Ruby closes it, after `release`.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.read
    }

    /// Makes the descriptor readable.
    pub(crate) fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        if let Some(ends) = &*self.lock() {
            // SAFETY: the descriptor is open, as the lock keeps `release` out; eight bytes are
            // what an eventfd takes. A full pipe or counter is readable already.
            let _ = unsafe { libc::write(ends.write, one.as_ptr().cast(), one.len()) };
        }
    }

    /// Makes it unreadable again.
    pub(crate) fn drain(&self) {
        let mut buffer = [0u8; 64];
        if let Some(ends) = &*self.lock() {
            // SAFETY: the descriptor is open and non-blocking, the buffer is ours and larger than
            // an eventfd's eight bytes. Nothing to read is no fault.
            let _ = unsafe { libc::read(ends.read, buffer.as_mut_ptr().cast(), buffer.len()) };
        }
    }

    /// Rings for the last time, and leaves the descriptor to Ruby, which closes it.
    pub(crate) fn release(&self) {
        self.ring();
        if let Some(ends) = self.lock().take() {
            close_write_end(&ends);
        }
    }

    /// In a child that inherited it: leaves the descriptor to Ruby, or closes it if Ruby never will.
    /// Who held the lock during the fork is not here to give it back: the descriptor stays open then.
    pub(crate) fn let_go(&self, close: bool) {
        let Ok(mut ends) = self.ends.try_lock() else { return };
        if let Some(ends) = ends.take() {
            close_write_end(&ends);
            if close {
                // SAFETY: not released, so it is still ours and open.
                let _ = unsafe { libc::close(ends.read) };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ends>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if let Some(ends) = self.lock().take() {
            close_write_end(&ends);
            // SAFETY: not released, so it is still ours and open.
            let _ = unsafe { libc::close(ends.read) };
        }
    }
}

#[cfg(target_os = "linux")]
fn open() -> io::Result<Ends> {
    // SAFETY: a system call without pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(Ends { read: fd, write: fd }) }
}

#[cfg(target_os = "linux")]
fn close_write_end(_: &Ends) {}

#[cfg(not(target_os = "linux"))]
fn open() -> io::Result<Ends> {
    use std::os::fd::IntoRawFd;
    let (read, write) = io::pipe()?;
    let ends = Ends { read: read.into_raw_fd(), write: write.into_raw_fd() };
    for fd in [ends.read, ends.write] {
        // SAFETY: both descriptors were opened above; the flag changes only ours.
        unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
    }
    Ok(ends)
}

#[cfg(not(target_os = "linux"))]
fn close_write_end(ends: &Ends) {
    // SAFETY: the write end never leaves this file and is closed once, with the bell.
    let _ = unsafe { libc::close(ends.write) };
}
