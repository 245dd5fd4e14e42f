//! Makes what is released out of built files; `dist.sh` at the top of the repository calls it. Equal
//! input has equal output: there is no time, owner, path or random number in it.

mod archive;
mod image;
mod layout;
mod sbom;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use image::Image;

/// Makes images, bills of materials and archives.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Writes the image of a module: the layout `OUT/images/NAME`, and its archive
    /// `OUT/NAME-VERSION.tar`
    Module(Artefact),
    /// Writes the image of a static program for linux/amd64 in the same way
    Program(Artefact),
    /// Writes the bill of materials of an artefact: the crates that its build has linked
    Sbom(sbom::Request),
    /// Writes an archive of files and folders, under the names by which they are given
    Archive {
        /// Relative paths
        #[arg(required = true)]
        paths: Vec<String>,
        /// The archive
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(clap::Args)]
struct Artefact {
    /// The built file
    #[arg(long)]
    file: PathBuf,
    /// Name of the image
    #[arg(long)]
    name: String,
    /// Folder of the output
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "dist: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Module(artefact) => write_image(&artefact, image::module),
        Command::Program(artefact) => write_image(&artefact, image::program),
        Command::Sbom(request) => write(&request.out, &sbom::json(&request)?),
        Command::Archive { paths, out } => write(&out, &archive::of_paths(paths)?),
    }
}

/// Prints the digest of the manifest.
fn write_image(artefact: &Artefact, make: fn(&str, Vec<u8>) -> Image) -> Result<(), String> {
    let Artefact { file, name, out } = artefact;
    let layout = make(name, read(file)?).layout()?;

    let folder = out.join("images").join(name);
    for (path, bytes) in layout.files() {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|error| problem(parent, &error))?;
        write(&path, bytes)?;
    }

    let archive = out.join(format!("{name}-{}.tar", image::VERSION));
    write(&archive, &layout.archive()?)?;
    writeln!(io::stdout(), "{}", layout.digest()).map_err(|error| error.to_string())
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| problem(file, &error))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(file, bytes).map_err(|error| problem(file, &error))
}

fn problem(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
