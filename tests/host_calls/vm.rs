//! One VM with one configuration, called as Envoy does: a callback without an export is skipped.

use serde_json::{Value, json};
use wasmtime::{Instance, Store, Val};

use super::artefact::Artefact;
use super::exchange::Exchange;
use super::host::{Callout, Host, REQUEST_HEADERS, RESPONSE_HEADERS, RESPONSE_TRAILERS, linker};
use super::tally::Tally;

const ROOT: i32 = 1;
/// Requests before the measured ones: memory that is allocated once grows here.
const WARM_UP: usize = 20;

pub(crate) struct Vm {
    store: Store<Host>,
    instance: Instance,
    /// Id of the next stream.
    next_id: i32,
}

/// An argument or result; the host ignores those that are not integers.
pub(crate) fn number(value: &Val) -> i64 {
    value
        .i64()
        .or_else(|| value.i32().map(i64::from))
        .unwrap_or_default()
}

impl Vm {
    /// A VM that is configured with these sections, with `audit` as its audit cluster.
    pub(crate) fn start(artefact: &Artefact, sections: &Value) -> Self {
        let mut config =
            json!({"audit_cluster": {"cluster": "audit"}, "trust": {"cidrs": ["10.0.0.0/8"]}});
        config
            .as_object_mut()
            .unwrap()
            .extend(sections.as_object().unwrap().clone());
        let mut store = Store::new(artefact.module.engine(), Host::default());
        store.set_fuel(u64::MAX).unwrap();

        let linker = linker(artefact.module.engine(), &artefact.module);
        let instance = linker.instantiate(&mut store, &artefact.module).unwrap();
        let mut vm = Self {
            store,
            instance,
            next_id: ROOT + 1,
        };
        let configuration = config.to_string().into_bytes();
        let size = i32::try_from(configuration.len()).unwrap();

        vm.host().configuration = configuration;
        vm.call("_initialize", &[]);
        vm.call("proxy_on_context_create", &[ROOT, 0]);
        vm.call("proxy_on_vm_start", &[ROOT, 0]);

        assert_eq!(
            vm.call("proxy_on_configure", &[ROOT, size]),
            Some(1),
            "{:?}",
            vm.host().log
        );

        vm.tick();
        vm
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Counts since the last call.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.host().tally)
    }

    /// Linear memory, which never shrinks, in bytes.
    pub(crate) fn memory_bytes(&mut self) -> usize {
        self.instance
            .get_memory(&mut self.store, "memory")
            .unwrap()
            .data_size(&self.store)
    }

    /// Calls an export. `None`: the export is missing, or has no result.
    fn call(&mut self, name: &str, arguments: &[i32]) -> Option<i32> {
        let function = self.instance.get_func(&mut self.store, name)?;
        let arguments: Vec<Val> = arguments
            .iter()
            .map(|argument| Val::I32(*argument))
            .collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let before = self.store.get_fuel().unwrap();

        function
            .call(&mut self.store, &arguments, &mut results)
            .unwrap();

        let fuel = before - self.store.get_fuel().unwrap();
        let tally = &mut self.host().tally;
        tally.fuel += fuel;
        tally.note_callback(name.strip_prefix("proxy_on_").unwrap_or(name), fuel);
        results.first().and_then(Val::i32)
    }

    /// One request and its answer, from the first byte to the last.
    pub(crate) fn exchange(&mut self, exchange: &Exchange) {
        let id = self.next_id;
        self.next_id += 1;

        let count = |length: usize| i32::try_from(length).unwrap();
        let host = self.host();
        host.maps.insert(REQUEST_HEADERS, exchange.request.clone());
        host.maps
            .insert(RESPONSE_HEADERS, exchange.response.clone());
        host.maps
            .insert(RESPONSE_TRAILERS, exchange.trailers.clone());
        host.properties.clone_from(&exchange.properties);
        host.body.clone_from(&exchange.body);

        let has_trailers = !exchange.trailers.is_empty();
        let has_body = !exchange.request_body.is_empty();
        self.call("proxy_on_context_create", &[id, ROOT]);
        self.call(
            "proxy_on_request_headers",
            &[id, count(exchange.request.len()), i32::from(!has_body)],
        );

        if has_body {
            self.call(
                "proxy_on_request_body",
                &[id, count(exchange.request_body.len()), 0],
            );
            self.call("proxy_on_request_body", &[id, 0, 1]);
        }

        self.call(
            "proxy_on_response_headers",
            &[id, count(exchange.response.len()), 0],
        );
        self.call(
            "proxy_on_response_body",
            &[id, count(exchange.body.len()), i32::from(!has_trailers)],
        );

        if has_trailers {
            self.call(
                "proxy_on_response_trailers",
                &[id, count(exchange.trailers.len())],
            );
        }

        self.call("proxy_on_log", &[id]);
        self.call("proxy_on_done", &[id]);
    }

    pub(crate) fn warm_up(&mut self, exchange: &Exchange) {
        for _ in 0..WARM_UP {
            self.exchange(exchange);
        }
        self.take_tally();
    }

    pub(crate) fn tick(&mut self) {
        self.call("proxy_on_tick", &[ROOT]);
    }

    /// Delivers the messages that the VM has sent to itself.
    pub(crate) fn wake(&mut self) {
        for queue in std::mem::take(&mut self.host().messages) {
            self.call("proxy_on_queue_ready", &[ROOT, queue]);
        }
    }

    /// Acknowledges the batches in flight, and those that follow them at once. Returns all of them.
    pub(crate) fn acknowledge(&mut self) -> Vec<Callout> {
        let mut all = Vec::new();
        while !self.host().callouts.is_empty() {
            let sent = std::mem::take(&mut self.host().callouts);
            for callout in &sent {
                let token = i32::try_from(callout.token).unwrap();
                self.call("proxy_on_http_call_response", &[ROOT, token, 1, 0, 0]);
            }
            all.extend(sent);
        }

        all
    }
}
