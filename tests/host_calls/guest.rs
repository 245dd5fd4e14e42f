//! Access to the module's memory as by a host. Every byte that crosses is counted.

use wasmtime::{Caller, Extern, Func, Memory, Result, Val};

use super::host::{Host, NOT_FOUND, OK};
use super::vm::number;

/// Names of the export with which a host allocates memory for a value.
const ALLOCATORS: [&str; 2] = ["proxy_on_memory_allocate", "malloc"];

pub(crate) struct Guest<'c, 'h> {
    pub(crate) caller: &'c mut Caller<'h, Host>,
}

impl Guest<'_, '_> {
    pub(crate) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    fn memory(&mut self) -> Memory {
        self.caller
            .get_export("memory")
            .and_then(Extern::into_memory)
            .unwrap()
    }

    pub(crate) fn bytes(&mut self, pointer: i32, length: i32) -> Vec<u8> {
        let mut bytes = vec![0; size(length)];
        self.memory()
            .read(&*self.caller, size(pointer), &mut bytes)
            .unwrap();
        self.host().tally.bytes_out += bytes.len();
        bytes
    }

    pub(crate) fn text(&mut self, pointer: i32, length: i32) -> String {
        String::from_utf8(self.bytes(pointer, length)).unwrap()
    }

    pub(crate) fn write(&mut self, pointer: i32, bytes: &[u8]) {
        self.memory()
            .write(&mut *self.caller, size(pointer), bytes)
            .unwrap();
        self.host().tally.bytes_in += bytes.len();
    }

    pub(crate) fn give_if(
        &mut self,
        bytes: Option<Vec<u8>>,
        pointer: i32,
        length: i32,
    ) -> Result<i32> {
        match bytes {
            Some(bytes) => self.give(&bytes, pointer, length),
            None => Ok(NOT_FOUND),
        }
    }

    /// Passes bytes in a buffer that the module allocates, as a host does.
    pub(crate) fn give(&mut self, bytes: &[u8], pointer: i32, length: i32) -> Result<i32> {
        let count = i32::try_from(bytes.len()).unwrap();
        let buffer = if count > 0 { self.allocate(count)? } else { 0 };
        self.write(buffer, bytes);
        self.write(pointer, &buffer.to_le_bytes());
        self.write(length, &count.to_le_bytes());
        Ok(OK)
    }

    fn allocate(&mut self, count: i32) -> Result<i32> {
        let allocator: Func = ALLOCATORS
            .iter()
            .find_map(|name| self.caller.get_export(name))
            .and_then(Extern::into_func)
            .unwrap();
        let before = self.caller.get_fuel()?;
        let mut results = [Val::I32(0)];
        allocator.call(&mut *self.caller, &[Val::I32(count)], &mut results)?;

        let fuel = before - self.caller.get_fuel()?;
        self.host().tally.note_callback("memory_allocate", fuel);
        Ok(i32::try_from(number(&results[0])).unwrap())
    }
}

pub(crate) fn size(value: i32) -> usize {
    usize::try_from(value).unwrap()
}
