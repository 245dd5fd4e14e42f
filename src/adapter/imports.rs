//! Host calls of the proxy-wasm ABI 0.2.1 beside those of the SDK. None of them panics: a status
//! other than `Ok` is an absence. The SDK panics on a status that a capability restriction causes,
//! and its `Status` cannot even represent all of them. It also allocates twice for each header and
//! once for each part of a property's path, and sends no details with a local reply.

#![expect(
    unsafe_code,
    reason = "imports of the host and its buffers cannot be had otherwise"
)]

use std::ptr::null_mut;
use std::time::Duration;

use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

/// `proxy_result_t`: success.
const OK: u32 = 0;

/// `proxy_result_t` of a call that a capability restriction forbids (proxy-wasm-cpp-host,
/// `include/proxy-wasm/exports.h`, the stubs).
const FORBIDDEN: u32 = 10;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, line: *const u8, line_size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_done() -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_size: usize, queue: *mut u32) -> u32;
    fn proxy_resolve_shared_queue(
        vm_id: *const u8,
        vm_id_size: usize,
        name: *const u8,
        name_size: usize,
        queue: *mut u32,
    ) -> u32;
    fn proxy_enqueue_shared_queue(queue: u32, value: *const u8, value_size: usize) -> u32;
    fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
    fn proxy_record_metric(metric: u32, value: u64) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_milliseconds: u32,
        token: *mut u32,
    ) -> u32;
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

/// Writes a line into the host's log.
pub(super) fn log(level: LogLevel, line: &str) {
    // SAFETY: the line outlives the call. A line that the host rejects is lost.
    let _ = unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
}

/// Sets the period of the root context's `on_tick`. False: the host refuses.
pub(super) fn set_tick_period(period: Duration) -> bool {
    // SAFETY: no memory is handed over.
    unsafe { proxy_set_tick_period_milliseconds(milliseconds(period)) == OK }
}

/// Signals that a root context with a false `on_done` can now be deleted.
pub(super) fn done() {
    // SAFETY: no memory is handed over. A refusal means that the host has ended the context
    // already.
    let _ = unsafe { proxy_done() };
}

/// A whole header map in the host's serialization; `None` when there is none in this phase.
pub(super) fn header_map(map: MapType) -> Option<Vec<u8>> {
    // SAFETY: both pointers are valid for the call, and the host writes nothing else.
    taken(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })
}

/// The first value of a header; `None` when it is absent, and when this phase has no such map.
pub(super) fn header(map: MapType, name: &str) -> Option<Vec<u8>> {
    // SAFETY: the name outlives the call, both pointers are valid for it, and the host writes
    // nothing else.
    given(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    })
}

/// Sets a header, which replaces all its values. False: this phase has no such map.
pub(super) fn set_header(map: MapType, name: &str, value: &[u8]) -> bool {
    // SAFETY: both buffers outlive the call.
    unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        ) == OK
    }
}

/// Removes all values of a header. False: this phase has no such map.
pub(super) fn remove_header(map: MapType, name: &str) -> bool {
    // SAFETY: the name outlives the call.
    unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) == OK }
}

/// At most `max_bytes` of a buffer from `start` on; `None` when there is none in this phase.
pub(super) fn buffer(buffer: BufferType, start: usize, max_bytes: usize) -> Option<Vec<u8>> {
    // SAFETY: both pointers are valid for the call, and the host writes nothing else.
    taken(|data, size| unsafe {
        proxy_get_buffer_bytes(buffer as u32, start, max_bytes, data, size)
    })
}

/// A property by its path, the elements separated by NUL.
pub(super) fn property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: the path outlives the call, both pointers are valid for it, and the host writes
    // nothing else.
    taken(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// A value that the VMs of the process share, and its version.
pub(super) fn shared_data(key: &str) -> Option<(Vec<u8>, u32)> {
    let mut version = 0;
    // SAFETY: the key outlives the call, all pointers are valid for it, and the host writes nothing
    // else.
    let value = given(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version)
    })?;
    Some((value, version))
}

/// Sets a shared value if its version is this one or it is absent; version 0 sets it
/// unconditionally.
pub(super) fn set_shared_data(key: &str, value: &[u8], version: u32) -> bool {
    // SAFETY: both buffers outlive the call.
    unsafe {
        proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            version,
        ) == OK
    }
}

/// Registers a queue with messages for `on_queue_ready` of this root context, and returns its id.
pub(super) fn register_shared_queue(name: &str) -> Option<u32> {
    // SAFETY: the name outlives the call, and the pointer is valid for it.
    id(|queue| unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), queue) })
}

/// The id of a queue that another VM registered.
pub(super) fn resolve_shared_queue(vm_id: &[u8], name: &str) -> Option<u32> {
    // SAFETY: both texts outlive the call, and the pointer is valid for it.
    id(|queue| unsafe {
        proxy_resolve_shared_queue(
            vm_id.as_ptr(),
            vm_id.len(),
            name.as_ptr(),
            name.len(),
            queue,
        )
    })
}

/// Puts a message into a queue. False: there is none with this id.
pub(super) fn enqueue_shared_queue(queue: u32, message: &[u8]) -> bool {
    // SAFETY: the message outlives the call.
    unsafe { proxy_enqueue_shared_queue(queue, message.as_ptr(), message.len()) == OK }
}

/// Takes the next message out of a queue; `None` when it has none.
pub(super) fn dequeue_shared_queue(queue: u32) -> Option<Vec<u8>> {
    // SAFETY: both pointers are valid for the call, and the host writes nothing else.
    given(|data, size| unsafe { proxy_dequeue_shared_queue(queue, data, size) })
}

/// Defines a statistic, or finds the one of this name, and returns its id.
pub(super) fn define_metric(kind: MetricType, name: &str) -> Option<u32> {
    // SAFETY: the name outlives the call, and the pointer is valid for it.
    id(|metric| unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), metric) })
}

/// Adds to a counter or a gauge. False: refused, as a counter refuses a negative number.
pub(super) fn increment_metric(metric: u32, offset: i64) -> bool {
    // SAFETY: no memory is handed over.
    unsafe { proxy_increment_metric(metric, offset) == OK }
}

/// Adds an observation to a histogram.
pub(super) fn record_metric(metric: u32, value: u64) {
    // SAFETY: no memory is handed over. A value that the host rejects is lost.
    let _ = unsafe { proxy_record_metric(metric, value) };
}

/// A serialized header map without headers.
const NO_HEADERS: [u8; 4] = [0; 4];

/// Switches the following host calls to another context. False: there is none with this id.
pub(super) fn set_effective_context(context: u32) -> bool {
    // SAFETY: no memory is handed over.
    unsafe { proxy_set_effective_context(context) == OK }
}

/// Continues the request of the effective context.
pub(super) fn continue_request() {
    /// Proxy-wasm's `proxy_stream_type_t`.
    const HTTP_REQUEST: u32 = 0;
    // SAFETY: no memory is handed over. A refusal means that the stream is gone.
    let _ = unsafe { proxy_continue_stream(HTTP_REQUEST) };
}

/// Answers the request of the effective context; a gRPC call gets the gRPC status.
pub(super) fn send_local_response(status: u32, grpc_status: i32, details: &str, body: &str) {
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

/// A host call that can be tried without effect in a root context.
#[derive(Clone, Copy)]
pub(super) enum Probe {
    ContinueStream,
    GetSharedData,
    Header,
    HeaderMap,
    HttpCall,
    Property,
    RemoveHeader,
    SetHeader,
    SetSharedData,
}

/// A name that nothing has.
const NOTHING: &str = "audit_filter.probe";

/// Whether a capability restriction forbids this call. The context has no stream, the cluster has
/// no name, and nothing else reads or writes these shared data.
pub(super) fn is_forbidden(probe: Probe) -> bool {
    let (mut data, mut size, mut number) = (null_mut(), 0, 0);
    let (data, size, number) = (&raw mut data, &raw mut size, &raw mut number);
    let (name, length) = (NOTHING.as_ptr(), NOTHING.len());
    let map = MapType::HttpRequestHeaders as u32;
    let (none, no_size) = (NO_HEADERS.as_ptr(), NO_HEADERS.len());

    // SAFETY: all pointers are valid for the calls. None of them yields a buffer with bytes, since
    // no stream is there and the value is empty.
    let status = unsafe {
        match probe {
            Probe::ContinueStream => proxy_continue_stream(0),
            Probe::GetSharedData => proxy_get_shared_data(name, length, data, size, number),
            Probe::Header => proxy_get_header_map_value(map, name, length, data, size),
            Probe::HeaderMap => proxy_get_header_map_pairs(map, data, size),
            Probe::HttpCall => {
                proxy_http_call(name, 0, none, no_size, name, 0, none, no_size, 1, number)
            }
            Probe::Property => proxy_get_property(name, length, data, size),
            Probe::RemoveHeader => proxy_remove_header_map_value(map, name, length),
            Probe::SetHeader => proxy_replace_header_map_value(map, name, length, name, length),
            Probe::SetSharedData => proxy_set_shared_data(name, length, name, 0, 0),
        }
    };

    status == FORBIDDEN
}

/// An id that the host writes.
fn id(call: impl FnOnce(*mut u32) -> u32) -> Option<u32> {
    let mut id = 0;
    (call(&raw mut id) == OK).then_some(id)
}

/// As [`taken`], where an empty value may come without a buffer.
fn given(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let mut status = OK;
    let value = taken(|data, size| {
        status = call(data, size);
        status
    });
    if status == OK {
        Some(value.unwrap_or_default())
    } else {
        None
    }
}

/// A buffer that the host writes; `None` when it has none.
fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    let status = call(&raw mut data, &raw mut size);
    if status != OK || data.is_null() {
        return None;
    }
    // SAFETY: the host allocated this buffer with `proxy_on_memory_allocate` and gave it away. It
    // is a boxed slice of `size` bytes of this module's allocator.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
