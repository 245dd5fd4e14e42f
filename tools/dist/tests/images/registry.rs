//! A real client and a real registry take the images as they are.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{MODULES, builds, digest_of, layout, loading, released};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// skopeo and a registry.
struct Tools {
    skopeo: String,
    registry: String,
}

impl Tools {
    /// `None` where nothing may be installed, with one line about what is skipped.
    fn get() -> Option<Self> {
        let script = testkit::tools::root().join("tools/dist/tests/images/get-skopeo.sh");
        let output = Command::new("bash").arg(script).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        if !output.status.success() {
            let may_not_install =
                std::env::var_os("AUDIT_TESTS_INSTALL").is_some_and(|install| install == "no");
            assert!(may_not_install, "{error}");
            let reason = error.lines().last().unwrap();
            // Not by a macro, since the output of a test that succeeds is not shown.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: images by skopeo and a registry ({reason})"
            );
            return None;
        }

        let paths = String::from_utf8(output.stdout).unwrap();
        let mut paths = paths.lines().map(str::to_owned);
        Some(Self {
            skopeo: paths.next().unwrap(),
            registry: paths.next().unwrap(),
        })
    }

    fn skopeo(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(&self.skopeo)
            .arg("--insecure-policy")
            .args(arguments)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "skopeo {arguments:?}: {error}");
        output.stdout
    }

    fn inspect(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.skopeo(&[&["inspect"], arguments].concat())).unwrap()
    }
}

/// A registry on a free port; ended when dropped.
struct Registry {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Registry {
    fn start(program: &str) -> Self {
        let folder = TempDir::with_prefix("audit-filter-registry-").unwrap();
        let file = folder.path().join("config.yml");
        let root = folder.path().join("images");
        let storage = format!(
            "storage: {{filesystem: {{rootdirectory: {}}}}}",
            root.display()
        );
        let config = format!("version: 0.1\n{storage}\nhttp: {{addr: \"127.0.0.1:0\"}}\n");
        fs::write(&file, config).unwrap();

        let mut process = Command::new(program)
            .args(["serve".as_ref(), file.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = log.find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once("listening on ")?;
            Some(
                address
                    .split('"')
                    .next()
                    .unwrap()
                    .trim_end_matches(',')
                    .to_owned(),
            )
        });
        // The registry would wait for a reader of a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            process,
            address: address.expect("the registry listens"),
            _folder: folder,
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn reference(kind: &str, path: &Path, tag: &str) -> String {
    format!("{kind}:{}:{tag}", path.display())
}

#[test]
fn skopeo_copies_each_image_to_a_registry_and_back() {
    let Some(tools) = Tools::get() else { return };
    let registry = Registry::start(&tools.registry);
    for (_, image) in MODULES {
        let expected = format!("sha256:{}", digest_of(image));
        let source = reference("oci", &layout(image), VERSION);
        assert_eq!(tools.inspect(&[&source])["Digest"], expected);

        let remote = format!("docker://{}/{image}:{VERSION}", registry.address);
        tools.skopeo(&[
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &source,
            &remote,
        ]);
        let stored = tools.inspect(&["--tls-verify=false", &remote]);
        assert_eq!(stored["Digest"], expected);
        assert_eq!(stored["Architecture"], "amd64");

        let back = TempDir::new().unwrap();
        let folder = back.path().join("layout");
        let copy = reference("oci", &folder, VERSION);
        tools.skopeo(&[
            "copy",
            "--preserve-digests",
            "--src-tls-verify=false",
            &remote,
            &copy,
        ]);
        let blobs = |layout: &Path| builds::files(&layout.join("blobs"));
        assert!(blobs(&folder) == blobs(&layout(image)), "{image}");
        assert!(loading::loaded(&folder, &digest_of(image)).is_ok());
    }
}

#[test]
fn archives_are_read_as_layouts_and_as_docker_loads_them() {
    let Some(tools) = Tools::get() else { return };
    for (_, image) in MODULES {
        let archive = released().join(format!("{image}-{VERSION}.tar"));
        let expected = format!("sha256:{}", digest_of(image));
        let listed = tools.inspect(&[&reference("oci-archive", &archive, VERSION)]);
        assert_eq!(listed["Digest"], expected);

        let tag = format!("{image}:{VERSION}");
        let saved = tools.inspect(&[&reference("docker-archive", &archive, &tag)]);
        assert_eq!(saved["Os"], "linux");
        assert_eq!(saved["Layers"].as_array().unwrap().len(), 1);
    }
}
