//! Bills of materials in CycloneDX 1.5: the crates that a build has linked, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use cargo_metadata::{
    DependencyKind, Message, Metadata, MetadataCommand, Node, Package, PackageId, TargetKind,
};
use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::prelude::{
    Bom, Component, Components, Metadata as About, Purl, SpdxExpression, SpecVersion, Validate as _,
};

use crate::layout::digest;
use crate::{problem, read};

/// What is described.
#[derive(clap::Args)]
pub(crate) struct Request {
    /// The package that was built
    #[arg(long)]
    package: String,
    /// The platform that it was built for
    #[arg(long)]
    target: String,
    /// The messages of its build, as `cargo build --message-format json` writes them
    #[arg(long)]
    build: PathBuf,
    /// Version of the compiler, whose standard library is linked as well
    #[arg(long)]
    compiler: String,
    /// The built file
    #[arg(long)]
    file: PathBuf,
    /// The bill of materials
    #[arg(long)]
    pub(crate) out: PathBuf,
}

pub(crate) fn json(request: &Request) -> Result<Vec<u8>, String> {
    let options = ["--locked", "--filter-platform", &request.target];
    let metadata = MetadataCommand::new()
        .other_options(options.map(str::to_owned))
        .exec()
        .map_err(|error| error.to_string())?;
    let linked = linked(&metadata, &built(request)?, &request.package)?;

    let standard = standard_library(&request.compiler)?;
    let bom = Bom {
        serial_number: None,
        spec_version: SpecVersion::V1_5,
        metadata: Some(about(request, &linked)?),
        dependencies: Some(dependencies(&linked, request, &standard)),
        components: Some(components(&linked, request, standard)?),
        ..Bom::default()
    };
    let validation = bom.validate();
    if !validation.passed() {
        return Err(format!("{}: {validation:?}", request.package));
    }

    let mut text = Vec::new();
    bom.output_as_json_v1_5(&mut text)
        .map_err(|error| error.to_string())?;
    Ok(text)
}

/// Packages of which the build has made a library or a program. Also those of build scripts.
fn built(request: &Request) -> Result<BTreeSet<PackageId>, String> {
    let file = File::open(&request.build).map_err(|error| problem(&request.build, &error))?;
    let mut found = BTreeSet::new();

    for message in Message::parse_stream(BufReader::new(file)) {
        let message = message.map_err(|error| problem(&request.build, &error))?;
        if let Message::CompilerArtifact(artifact) = message {
            let runs_at_build = [TargetKind::CustomBuild, TargetKind::ProcMacro];
            if !runs_at_build
                .iter()
                .any(|kind| artifact.target.kind.contains(kind))
            {
                found.insert(artifact.package_id);
            }
        }
    }
    Ok(found)
}

/// A linked package, and those that it links.
type Linked<'m> = BTreeMap<(&'m str, String), (&'m Package, Vec<&'m Package>)>;

/// The graph of dependencies below a package, without those of build scripts and tests. Features of
/// the whole workspace are in the metadata, so what the build has left out is left out.
fn linked<'m>(
    metadata: &'m Metadata,
    built: &BTreeSet<PackageId>,
    package: &str,
) -> Result<Linked<'m>, String> {
    let resolve = metadata
        .resolve
        .as_ref()
        .ok_or("no graph in the metadata")?;
    let nodes: BTreeMap<&PackageId, &Node> =
        resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let packages: BTreeMap<&PackageId, &Package> =
        metadata.packages.iter().map(|one| (&one.id, one)).collect();

    let root = metadata.packages.iter().find(|one| one.name == package);
    let root = root.filter(|one| built.contains(&one.id));
    let mut next = vec![root.ok_or_else(|| format!("{package} was not built"))?];
    let mut found = Linked::new();
    while let Some(one) = next.pop() {
        let links = nodes.get(&one.id).into_iter().flat_map(|node| &node.deps);
        let links = links.filter(|link| {
            let mut kinds = link.dep_kinds.iter();
            kinds.any(|kind| kind.kind == DependencyKind::Normal) && built.contains(&link.pkg)
        });
        let mut links: Vec<&Package> = links
            .filter_map(|link| packages.get(&link.pkg).copied())
            .collect();
        links.sort_by_key(|link| key(link));

        if found.insert(key(one), (one, links.clone())).is_none() {
            next.extend(links);
        }
    }
    Ok(found)
}

fn key(package: &Package) -> (&str, String) {
    (package.name.as_str(), package.version.to_string())
}

/// Name and version: no path of the machine.
fn reference(package: &Package) -> String {
    format!("{}@{}", package.name, package.version)
}

fn about(request: &Request, linked: &Linked) -> Result<About, String> {
    let root = linked
        .values()
        .find(|(one, _)| one.name == request.package)
        .ok_or("no root")?;

    let mut component = component(root.0)?;
    let sum = digest(&read(&request.file)?);
    component.component_type = Classification::Application;
    component.hashes = Some(Hashes(vec![Hash {
        alg: HashAlgorithm::SHA_256,
        content: HashValue(sum.trim_start_matches("sha256:").to_owned()),
    }]));
    Ok(About {
        component: Some(component),
        ..About::default()
    })
}

fn components(
    linked: &Linked,
    request: &Request,
    standard: Component,
) -> Result<Components, String> {
    let others = linked
        .values()
        .filter(|(one, _)| one.name != request.package);

    let mut all: Vec<Component> = others
        .map(|(one, _)| component(one))
        .collect::<Result<_, _>>()?;
    all.push(standard);
    Ok(Components(all))
}

fn dependencies(linked: &Linked, request: &Request, standard: &Component) -> Dependencies {
    let all = linked.values().map(|(one, links)| {
        let mut dependencies: Vec<String> = links.iter().map(|link| reference(link)).collect();
        if one.name == request.package {
            dependencies.extend(standard.bom_ref.clone());
        }

        Dependency {
            dependency_ref: reference(one),
            dependencies,
        }
    });
    Dependencies(all.collect())
}

fn component(package: &Package) -> Result<Component, String> {
    let (name, version) = key(package);
    let licence = package.license.clone();
    let licence = licence.ok_or_else(|| format!("{name} {version} names no licence"))?;

    let mut component = described(name, &version, &licence)?;
    // The packages of the workspace are in no registry.
    if package.source.is_some() {
        let purl = Purl::new("cargo", name, &version);
        component.purl = Some(purl.map_err(|error| format!("{name}: {error}"))?);
    }
    Ok(component)
}

fn described(name: &str, version: &str, licence: &str) -> Result<Component, String> {
    let reference = format!("{name}@{version}");
    let licence = SpdxExpression::parse_lax(licence.to_owned())
        .map_err(|error| format!("licence of {reference}: {error}"))?;

    let mut component = Component::new(Classification::Library, name, version, Some(reference));
    component.licenses = Some(Licenses(vec![LicenseChoice::Expression(licence)]));
    Ok(component)
}

/// Linked into everything, with the version of the compiler.
fn standard_library(compiler: &str) -> Result<Component, String> {
    let mut component = described("std", compiler, "MIT OR Apache-2.0")?;
    let purl = Purl::new("generic", "rust-std", compiler);
    component.purl = Some(purl.map_err(|error| error.to_string())?);
    Ok(component)
}
