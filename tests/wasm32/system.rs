//! What a test program needs of its system (WASI preview 1): arguments, variables, output, a clock.
//!
//! The crate with all of it brings 28 others, the component model among them.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use wasmtime::{Caller, Engine, Error, Extern, Linker, Result};

const WASI: &str = "wasi_snapshot_preview1";
const SUCCESS: i32 = 0;
/// `errno` of a file that is not open: the program has neither directories nor a terminal.
const BADF: i32 = 8;
/// A step of the clock, in nanoseconds.
const STEP: u64 = 1_000_000;

/// The system of one program.
#[derive(Default)]
pub(crate) struct System {
    arguments: Vec<String>,
    variables: Vec<String>,
    /// All that it has printed.
    pub(crate) output: Vec<u8>,
    /// The code with which it has ended by itself.
    pub(crate) exit_code: Option<i32>,
    clock_nanos: u64,
}

impl System {
    /// With these arguments, the first of which is the program's name, and with variables in the
    /// form `NAME=value`.
    pub(crate) fn new(arguments: &[&str], variables: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Self {
            arguments: owned(arguments),
            variables: owned(variables),
            ..Self::default()
        }
    }
}

type Call<'a> = Caller<'a, System>;

/// Answers the imports of a test program from its [`System`].
pub(crate) fn linker(engine: &Engine) -> Result<Linker<System>> {
    let mut linker = Linker::new(engine);

    linker.func_wrap(WASI, "args_sizes_get", |mut call: Call<'_>, count, size| {
        let texts = call.data().arguments.clone();
        write_sizes(&mut call, &texts, count, size)
    })?;
    linker.func_wrap(WASI, "args_get", |mut call: Call<'_>, table, bytes| {
        let texts = call.data().arguments.clone();
        write_texts(&mut call, &texts, table, bytes)
    })?;
    linker.func_wrap(
        WASI,
        "environ_sizes_get",
        |mut call: Call<'_>, count, size| {
            let texts = call.data().variables.clone();
            write_sizes(&mut call, &texts, count, size)
        },
    )?;
    linker.func_wrap(WASI, "environ_get", |mut call: Call<'_>, table, bytes| {
        let texts = call.data().variables.clone();
        write_texts(&mut call, &texts, table, bytes)
    })?;

    for name in ["fd_fdstat_get", "fd_prestat_get"] {
        linker.func_wrap(WASI, name, |_: i32, _: u32| BADF)?;
    }
    linker.func_wrap(WASI, "fd_write", print)?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut call: Call<'_>, _: i32, _: u64, time: u32| {
            call.data_mut().clock_nanos += STEP;
            let nanos = call.data().clock_nanos;
            write(&mut call, time, &nanos.to_le_bytes())
        },
    )?;
    linker.func_wrap(
        WASI,
        "random_get",
        |mut call: Call<'_>, bytes: u32, length: u32| {
            let seed = RandomState::new().build_hasher().finish();
            let mut random = vec![0; length as usize];
            fastrand::Rng::with_seed(seed).fill(&mut random);
            write(&mut call, bytes, &random)
        },
    )?;
    linker.func_wrap(
        WASI,
        "proc_exit",
        |mut call: Call<'_>, code: i32| -> Result<()> {
            call.data_mut().exit_code = Some(code);
            Err(Error::msg("the program has ended"))
        },
    )?;

    Ok(linker)
}

/// `fd_write`: appends the parts to the output, whatever the file.
fn print(mut call: Call<'_>, _file: i32, parts: u32, count: u32, written: u32) -> i32 {
    let mut length = 0;
    for part in (parts..).step_by(8).take(count as usize) {
        let head = read(&mut call, part, 8);
        let [at, size] =
            [&head[..4], &head[4..]].map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let bytes = read(&mut call, at, size as usize);
        call.data_mut().output.extend(bytes);
        length += size;
    }

    write(&mut call, written, &length.to_le_bytes())
}

/// Their number, and their bytes with a zero after each.
fn write_sizes(call: &mut Call<'_>, texts: &[String], count: u32, size: u32) -> i32 {
    let bytes: usize = texts.iter().map(|text| text.len() + 1).sum();
    write(call, count, &word(texts.len()));
    write(call, size, &word(bytes))
}

/// The texts one after the other, and a table of their places.
fn write_texts(call: &mut Call<'_>, texts: &[String], mut table: u32, mut bytes: u32) -> i32 {
    for text in texts {
        write(call, table, &bytes.to_le_bytes());
        write(call, bytes, &[text.as_bytes(), b"\0"].concat());
        table += 4;
        bytes += u32::try_from(text.len()).unwrap() + 1;
    }
    SUCCESS
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

fn write(call: &mut Call<'_>, at: u32, bytes: &[u8]) -> i32 {
    let memory = call.get_export("memory").and_then(Extern::into_memory);
    memory.unwrap().write(call, at as usize, bytes).unwrap();
    SUCCESS
}

fn read(call: &mut Call<'_>, at: u32, length: usize) -> Vec<u8> {
    let memory = call.get_export("memory").and_then(Extern::into_memory);
    let mut bytes = vec![0; length];
    memory.unwrap().read(call, at as usize, &mut bytes).unwrap();
    bytes
}
