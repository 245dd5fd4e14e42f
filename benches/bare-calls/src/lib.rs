//! A filter that makes the host calls of the lean audit filter and ignores their results. No code
//! in the VM can cost less. It has no SDK, and exports the same stream callbacks.
//!
//! Its configuration is one digit, the number of these steps that it takes. With 0 it has the
//! callbacks alone.
//!
//! 1. The request's headers.
//! 2. Three removals.
//! 3. The connection's number, and a clock.
//! 4. At the end of the stream the response's headers, the response code details, and a clock.

#[cfg(target_arch = "wasm32")]
#[expect(
    unsafe_code,
    reason = "exports and imports of the host cannot be had otherwise"
)]
mod filter {
    use std::cell::{Cell, UnsafeCell};
    use std::ptr::null_mut;

    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
        fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
        fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    }

    /// Of the ABI: `proxy_buffer_type_t` and `proxy_header_map_type_t`.
    const PLUGIN_CONFIGURATION: u32 = 7;
    const REQUEST_HEADERS: u32 = 0;
    const RESPONSE_HEADERS: u32 = 2;
    const CONTROL: [&str; 3] = [
        "x-session-track",
        "x-session-operation",
        "x-session-context",
    ];

    /// The buffer for all host writes. Each write may overwrite the previous one.
    struct Room(UnsafeCell<[u8; 65_536]>);

    // SAFETY: the VM has one thread.
    unsafe impl Sync for Room {}

    static ROOM: Room = Room(UnsafeCell::new([0; 65_536]));

    thread_local! {
        static STEPS: Cell<u8> = const { Cell::new(0) };
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_abi_version_0_2_1() {}

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_memory_allocate(_size: usize) -> *mut u8 {
        ROOM.0.get().cast()
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_context_create(_context: u32, _root: u32) {}

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_configure(_context: u32, _size: usize) -> bool {
        let (mut data, mut size) = (null_mut(), 0);
        // SAFETY: both pointers are valid for the call, and the host fills the buffer before it
        // returns.
        unsafe {
            if proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, 1, &raw mut data, &raw mut size) == 0
                && size == 1
            {
                STEPS.set(data.read().wrapping_sub(b'0'));
            }
        }

        true
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_request_headers(
        _context: u32,
        _headers: usize,
        _end_of_stream: bool,
    ) -> u32 {
        let steps = STEPS.get();
        if steps > 0 {
            headers(REQUEST_HEADERS);
        }
        if steps > 1 {
            CONTROL.iter().for_each(|name| remove(name));
        }
        if steps > 2 {
            property("connection_id");
            clock();
        }

        0
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_log(_context: u32) {
        if STEPS.get() > 3 {
            headers(RESPONSE_HEADERS);
            property("response\0code_details");
            clock();
        }
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_done(_context: u32) -> bool {
        true
    }

    fn headers(map: u32) {
        let (mut data, mut size) = (null_mut(), 0);
        // SAFETY: both pointers are valid for the call.
        unsafe { proxy_get_header_map_pairs(map, &raw mut data, &raw mut size) };
    }

    fn remove(name: &str) {
        // SAFETY: the name outlives the call.
        unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) };
    }

    fn property(path: &str) {
        let (mut data, mut size) = (null_mut(), 0);
        // SAFETY: the path outlives the call, and both pointers are valid for it.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    }

    fn clock() {
        let mut time = 0;
        // SAFETY: the pointer is valid for the call.
        unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    }
}
