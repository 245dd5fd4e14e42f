//! Calls of WASI (`wasi_snapshot_preview1`) that the standard library cannot make: it ends the VM
//! when the host forbids one.

#![expect(unsafe_code, reason = "imports of the host cannot be had otherwise")]

use std::ptr::null_mut;

/// `errno`: success.
const OK: u16 = 0;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, nanos: *mut u64) -> u16;
    fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u16;
    fn environ_get(pointers: *mut *mut u8, bytes: *mut u8) -> u16;
}

/// `clockid` of WASI.
#[derive(Clone, Copy)]
pub(super) enum ClockId {
    /// The wall clock: time since the Unix epoch.
    Realtime = 0,
    /// Never goes back.
    Monotonic = 1,
}

/// A clock of the host, in nanoseconds; 0 when it has none.
pub(super) fn clock(clock: ClockId) -> u64 {
    let mut nanos = 0;
    // SAFETY: the pointer is valid for the call. A refusal leaves the zero.
    let _ = unsafe { clock_time_get(clock as u32, 1, &raw mut nanos) };
    nanos
}

/// The environment of the VM: `NAME=value` each, ended by NUL. Empty when the host gives none.
pub(super) fn environment() -> Vec<u8> {
    let (mut count, mut size) = (0, 0);
    // SAFETY: both pointers are valid for the call.
    let status = unsafe { environ_sizes_get(&raw mut count, &raw mut size) };
    if status != OK {
        return Vec::new();
    }

    let mut pointers = vec![null_mut(); count];
    let mut bytes = vec![0; size];
    // SAFETY: both buffers have the sizes that the host has named, and outlive the call.
    let status = unsafe { environ_get(pointers.as_mut_ptr(), bytes.as_mut_ptr()) };
    if status == OK { bytes } else { Vec::new() }
}

/// The value of a variable in such an environment; `None` also when it is not UTF-8.
pub(super) fn variable(environment: &[u8], name: &str) -> Option<String> {
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(value.to_vec()).ok()
}
