//! Host calls without the SDK: its versions copy and allocate for every header, and panic on an answer they do not know.

#![expect(unsafe_code, reason = "imports of the host and its buffers cannot be had otherwise")]

use std::ptr::null_mut;

use proxy_wasm::types::{BufferType, MapType};

/// Proxy-wasm's status `Ok` (ABI 0.2.1, `proxy_result_t`).
const OK: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, version: u32)
    -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// A whole header map in the host's serialization; `None` when there is none in this phase.
pub(super) fn header_map(map: MapType) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both pointers are valid for the call, and the host writes nothing else.
    let status = unsafe { proxy_get_header_map_pairs(map as u32, &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// Sets a header instead of all values that it has. False: there is no such map in this phase.
pub(super) fn set_header(map: MapType, name: &str, value: &[u8]) -> bool {
    // SAFETY: both buffers outlive the call.
    unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Removes all values of a header. False: there is no such map in this phase.
pub(super) fn remove_header(map: MapType, name: &str) -> bool {
    // SAFETY: the name outlives the call.
    unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) == OK }
}

/// At most `max_bytes` from the start of a buffer; `None` when there is none in this phase.
pub(super) fn buffer(buffer: BufferType, max_bytes: usize) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both pointers are valid for the call, and the host writes nothing else.
    let status = unsafe { proxy_get_buffer_bytes(buffer as u32, 0, max_bytes, &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// A property by its path, whose elements are separated by NUL.
pub(super) fn property(path: &str) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the path outlives the call, both pointers are valid for it, and the host writes nothing else.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// A value that the VMs of the process share, and its version.
pub(super) fn shared_data(key: &str) -> Option<(Vec<u8>, u32)> {
    let (mut data, mut size, mut version) = (null_mut(), 0, 0);
    // SAFETY: the key outlives the call, all pointers are valid for it, and the host writes nothing else.
    let status =
        unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &raw mut data, &raw mut size, &raw mut version) };
    match status {
        // An empty value comes without a buffer.
        OK => Some((taken(status, data, size).unwrap_or_default(), version)),
        _ => None,
    }
}

/// Sets such a value if it has this version, or is not there; whatever is there with version 0.
pub(super) fn set_shared_data(key: &str, value: &[u8], version: u32) -> bool {
    // SAFETY: both buffers outlive the call.
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) == OK }
}

/// Makes the following host calls those of another context. False: there is none with this id.
pub(super) fn set_effective_context(context: u32) -> bool {
    // SAFETY: no memory is handed over.
    unsafe { proxy_set_effective_context(context) == OK }
}

/// Lets the request of the effective context go on.
pub(super) fn continue_request() {
    /// Proxy-wasm's `proxy_stream_type_t`.
    const HTTP_REQUEST: u32 = 0;
    // SAFETY: no memory is handed over. A refusal means that the stream is gone.
    let _ = unsafe { proxy_continue_stream(HTTP_REQUEST) };
}

/// Answers the request of the effective context; a gRPC call gets the gRPC status.
pub(super) fn send_local_response(status: u32, grpc_status: i32, details: &str, body: &str) {
    /// A serialized header map without headers.
    const NO_HEADERS: [u8; 4] = [0; 4];
    // SAFETY: all three buffers outlive the call. A refusal means that the stream is gone.
    let _ = unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            NO_HEADERS.as_ptr(),
            NO_HEADERS.len(),
            grpc_status,
        )
    };
}

fn taken(status: u32, data: *mut u8, size: usize) -> Option<Vec<u8>> {
    if status != OK || data.is_null() {
        return None;
    }
    // SAFETY: the host had `proxy_on_memory_allocate` of the SDK make this buffer, which is a boxed slice of `size`
    // bytes of this module's allocator, and has given it away.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}
