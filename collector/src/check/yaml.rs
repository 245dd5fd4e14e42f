//! Reads YAML and JSON into trees of nodes with their lines.

use std::path::Path;
use std::rc::Rc;

use yaml_rust2::Event;
use yaml_rust2::parser::Parser;
use yaml_rust2::scanner::Marker;

use super::build::{Builder, YamlError};
use super::json;
use super::node::Node;
use super::reader::{self, Reader};

/// May precede a text.
pub(super) const BOM: char = '\u{feff}';

/// The form that the name of a file gives: Envoy reads it by its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileForm {
    Json,
    Yaml,
    /// Stdin, or another name: the text decides.
    Any,
}

impl FileForm {
    pub(super) fn of(file: &Path) -> Self {
        let end = file.extension().and_then(|end| end.to_str());
        match end {
            Some("json") => Self::Json,
            Some("yaml" | "yml") => Self::Yaml,
            _ => Self::Any,
        }
    }
}

/// All documents of a text; empty ones are left out.
pub(super) fn read(text: &str, form: FileForm) -> Result<Vec<Rc<Node>>, YamlError> {
    let text = text.trim_start_matches(BOM);
    if form == FileForm::Json {
        json::check(text).map_err(|(line, text)| YamlError::new(line, text))?;
    }
    if json::is_json(text) {
        let text = json::joined_surrogates(text);
        let keys = root_keys(&text);
        let is_plain = keys.first().is_some_and(|keys| reader::is_plain(keys));
        if is_plain {
            return read_as(&text, |_| Reader::Filter);
        }
        if form != FileForm::Yaml {
            return read_as(&text, |_| Reader::Json);
        }
    }

    let keys = root_keys(text);
    read_as(text, |document| {
        keys.get(document)
            .map_or(Reader::Envoy, |keys| Reader::of(keys))
    })
}

/// JSON that the filter reads itself.
pub(super) fn read_json(text: &str) -> Option<Rc<Node>> {
    let text = text.trim_start_matches(BOM);
    if !json::is_json(text) {
        return None;
    }
    read_as(&json::joined_surrogates(text), |_| Reader::Filter)
        .ok()?
        .pop()
}

/// `reader`: of each document, by its number.
fn read_as(text: &str, reader: impl Fn(usize) -> Reader) -> Result<Vec<Rc<Node>>, YamlError> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::new(reader(0));
    let mut documents = 0;

    loop {
        let (event, mark) = next(&mut parser)?;
        match event {
            Event::StreamEnd => return Ok(builder.documents),
            Event::DocumentStart => {
                builder.begin(reader(documents));
                documents += 1;
            }
            event => builder.take(event, mark)?,
        }
    }
}

fn next<'t>(parser: &mut Parser<std::str::Chars<'t>>) -> Result<(Event, Marker), YamlError> {
    parser
        .next_token()
        .map_err(|error| YamlError::new(error.marker().line(), error.info()))
}

/// The keys at the root of each document, as far as the text can be read.
fn root_keys(text: &str) -> Vec<Vec<String>> {
    let mut parser = Parser::new_from_str(text);
    let (mut documents, mut depth, mut is_key) = (Vec::new(), 0, true);

    while let Ok((event, _)) = next(&mut parser) {
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart => {
                documents.push(Vec::new());
                is_key = true;
            }
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => {
                depth -= 1;
                // A value of the root has ended.
                is_key |= depth == 1;
            }
            Event::Scalar(text, ..) if depth == 1 => {
                if is_key {
                    documents
                        .last_mut()
                        .into_iter()
                        .for_each(|keys| keys.push(text.clone()));
                }
                is_key = !is_key;
            }
            Event::Alias(_) if depth == 1 => is_key = !is_key,
            _ => {}
        }
    }
    documents
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Rc<Node> {
        read(text, FileForm::Any).unwrap().pop().unwrap()
    }

    #[track_caller]
    fn check_error(text: &str, line: usize, start: &str) {
        let error = read(text, FileForm::Any).unwrap_err();
        assert!(
            error.line == line && error.text.contains(start),
            "{error:?}"
        );
    }

    #[test]
    fn a_path_has_the_line_of_its_deepest_part() {
        let node = one("a:\n  b.c:\n  - x\n  - d:\n      e: 1\n");

        for (path, line) in [
            ("a", 1),
            ("a.b.c", 2),
            ("a.b.c[1]", 4),
            ("a.b.c[1].d.e", 5),
            ("a.b.c[7]", 2),
            ("z", 1),
        ] {
            assert_eq!(node.line_of(path), line, "{path}");
        }
    }

    #[test]
    fn anchors_are_written_out_and_kubernetes_merges() {
        let text = "base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nagain: *b\n";
        let base = json!({"x": 1, "y": 2});
        assert_eq!(
            one(text).to_json(),
            json!({"base": base, "use": {"<<": base, "y": 3}, "again": base})
        );
        let manifest = format!("kind: x\n{text}");
        assert_eq!(one(&manifest).to_json()["use"], json!({"y": 3, "x": 1}));
        // A merge replaces what stands before it, and of several maps the first counts.
        let later = manifest.replace("{<<: *b, y: 3}", "{y: 3, <<: [*b, {x: 5, z: 6}]}");
        assert_eq!(
            one(&later).to_json()["use"],
            json!({"y": 2, "x": 1, "z": 6})
        );
        check_error("kind: x\nuse: {<<: text}\n", 2, "<< needs a map");
    }

    #[test]
    fn several_documents_are_told_apart() {
        assert_eq!(
            read("a: 1\n---\n---\nb: 2\n...\n", FileForm::Any)
                .unwrap()
                .len(),
            2
        );
        assert!(
            read("", FileForm::Any).unwrap().is_empty()
                && read("# nothing\n", FileForm::Any).unwrap().is_empty()
        );
    }

    #[test]
    fn what_cannot_be_read_has_a_line() {
        check_error("a: 1\nb: [1, 2\n", 3, "");
        check_error("a: 1\nb: 2\na: 3\n", 3, "the key a stands twice");
        check_error("a: *nothing\n", 1, "");
        check_error(&"[".repeat(100_000), 1, "recursion limit");
        check_error(&"- ".repeat(1000), 1, "nested deeper");

        let level = |level: usize| {
            format!(
                "l{level}: &l{level} [{}]\n",
                vec![format!("*l{}", level - 1); 10].join(",")
            )
        };
        let levels: String = (1..9).map(level).collect();

        check_error(
            &format!("l0: &l0 [{}]\n{levels}", ["x"; 10].join(",")),
            6,
            "more than",
        );
    }
}
