//! Archives that depend on names, modes and bytes alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::{problem, read};

/// Permissions of a file that is read.
pub(crate) const PLAIN: u32 = 0o644;
/// Permissions of a program.
pub(crate) const EXECUTABLE: u32 = 0o755;

/// Files by their names, in this order, owned by root, without times.
pub(crate) fn tar<'f>(
    files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
    mode: u32,
) -> Result<Vec<u8>, String> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);

        let added = builder.append_data(&mut header, name, bytes);
        added.map_err(|error| format!("{name}: {error}"))?;
    }
    builder.into_inner().map_err(|error| error.to_string())
}

/// Without a time and a file name.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map_err(|error| error.to_string())
}

/// Files, and all files of folders.
pub(crate) fn of_paths(paths: Vec<String>) -> Result<Vec<u8>, String> {
    let mut files = BTreeMap::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let files = files.iter();
    tar(
        files.map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
        PLAIN,
    )
}

fn collect(name: String, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let path = Path::new(&name);
    if !path.is_dir() {
        let bytes = read(path)?;
        files.insert(name, bytes);
        return Ok(());
    }

    let entries = fs::read_dir(path).map_err(|error| problem(path, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| problem(path, &error))?;
        let below = entry.file_name();
        let below = below
            .to_str()
            .ok_or_else(|| format!("{name}: a name that is no text"))?;
        collect(format!("{name}/{below}"), files)?;
    }
    Ok(())
}
