//! Another plugin of the same Envoy, on the public Rust SDK, under a client's control. A request
//! with `x-name` reads that value of the shared data, in hexadecimal. With `x-value` as well it
//! writes these bytes, and with `x-damage` it changes the byte in the middle.

#[cfg(target_arch = "wasm32")]
mod filter {
    use proxy_wasm::traits::{Context, HttpContext, RootContext};
    use proxy_wasm::types::{Action, ContextType};

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::new(Root));
    }}

    struct Root;
    struct Http;

    impl Context for Root {}
    impl RootContext for Root {
        fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
            Some(Box::new(Http))
        }

        fn get_type(&self) -> Option<ContextType> {
            Some(ContextType::HttpContext)
        }
    }

    impl Context for Http {}
    impl HttpContext for Http {
        fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
            let Some(name) = self.get_http_request_header("x-name") else {
                return Action::Continue;
            };

            let (status, body) = self.serve(&name);
            self.send_http_response(status, Vec::new(), Some(body.as_bytes()));
            Action::Pause
        }
    }

    impl Http {
        /// Status and body of the answer.
        fn serve(&self, name: &str) -> (u32, String) {
            if let Some(value) = self.get_http_request_header("x-value") {
                return self.write(name, &bytes(&value));
            }

            match self.get_shared_data(name).0 {
                None => (404, String::new()),
                Some(value) if self.get_http_request_header("x-damage").is_some() => {
                    self.write(name, &damaged(value))
                }
                Some(value) => (200, digits(&value)),
            }
        }

        fn write(&self, name: &str, value: &[u8]) -> (u32, String) {
            match self.set_shared_data(name, Some(value), None) {
                Ok(()) => (200, String::new()),
                Err(status) => (500, format!("{status:?}")),
            }
        }
    }

    fn damaged(mut value: Vec<u8>) -> Vec<u8> {
        let middle = value.len() / 2;
        value
            .iter_mut()
            .skip(middle)
            .take(1)
            .for_each(|byte| *byte ^= 1);
        value
    }

    fn digits(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn bytes(digits: &str) -> Vec<u8> {
        let (pairs, _) = digits.as_bytes().as_chunks::<2>();
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        pairs.iter().filter_map(byte).collect()
    }
}
