//! YAML as a tree of nodes with their lines. An anchor is one shared node, so that a short text
//! does not become a large tree.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Map, Number, Value};
use yaml_rust2::Event;
use yaml_rust2::parser::Parser;
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::scalar::scalar;

/// May precede a text.
pub(super) const BOM: char = '\u{feff}';

/// Deepest nesting of a file, and most nodes with its anchors written out. Manifests have far less.
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 1_000_000;

/// A value and the line where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    /// A block (`|`): its text begins on the next line and keeps the lines of the file.
    pub(super) is_block: bool,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Value),
    /// A number for Kubernetes, a text for Envoy.
    NumberOrText(Number, String),
    List(Vec<Rc<Node>>),
    /// In the order of the text. The line is that of the key.
    Map(Vec<(String, usize, Rc<Node>)>),
}

/// The program that reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Kubernetes,
    Envoy,
}

/// Why a text cannot be checked as YAML, and in which line.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) text: String,
}

impl YamlError {
    fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
        }
    }
}

impl Node {
    fn new(line: usize, kind: Kind) -> Rc<Self> {
        Rc::new(Self {
            line,
            is_block: false,
            kind,
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Rc<Self>> {
        let Kind::Map(entries) = &self.kind else {
            return None;
        };
        entries
            .iter()
            .find(|(name, ..)| name == key)
            .map(|(.., value)| value)
    }

    /// The value under the first of these keys that exists.
    pub(super) fn either(&self, keys: [&str; 2]) -> Option<&Rc<Self>> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The value below these keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, key| node.get(key).map(Rc::as_ref))
    }

    pub(super) fn text(&self) -> Option<&str> {
        let Kind::Scalar(Value::String(text)) = &self.kind else {
            return None;
        };
        Some(text)
    }

    pub(super) fn items(&self) -> &[Rc<Self>] {
        if let Kind::List(items) = &self.kind {
            items
        } else {
            &[]
        }
    }

    /// The direct children.
    pub(super) fn children(&self) -> Vec<&Rc<Self>> {
        match &self.kind {
            Kind::Scalar(_) | Kind::NumberOrText(..) => Vec::new(),
            Kind::List(items) => items.iter().collect(),
            Kind::Map(entries) => entries.iter().map(|(.., value)| value).collect(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Bool(true)))
    }

    /// As JSON.
    pub(super) fn to_json(&self, reader: Reader) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::NumberOrText(number, _) if reader == Reader::Kubernetes => {
                Value::Number(number.clone())
            }
            Kind::NumberOrText(_, text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(|item| item.to_json(reader)).collect(),
            Kind::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, _, value)| (key.clone(), value.to_json(reader)));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    /// The line of the value at a path such as `rules[2].match.path`, or of its deepest part that
    /// exists.
    pub(super) fn line_of(&self, path: &str) -> usize {
        let (mut node, mut line) = (self, self.line);
        let mut rest = path;
        while !rest.is_empty() {
            let Some((found, at, left)) = node.step(rest) else {
                break;
            };
            (node, line, rest) = (found, at, left);
        }
        line
    }

    /// Follows the first part of a path. Returns the node, its line, and the rest of the path. A
    /// key may contain dots.
    fn step<'p>(&self, path: &'p str) -> Option<(&Self, usize, &'p str)> {
        match &self.kind {
            Kind::Scalar(_) | Kind::NumberOrText(..) => None,
            Kind::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                Some((item, item.line, rest.strip_prefix('.').unwrap_or(rest)))
            }
            Kind::Map(entries) => {
                let follows = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
                let found = entries.iter().filter_map(|(key, line, value)| {
                    let rest = path
                        .strip_prefix(key.as_str())
                        .filter(|rest| follows(rest))?;
                    Some((
                        value.as_ref(),
                        *line,
                        rest.strip_prefix('.').unwrap_or(rest),
                    ))
                });
                found.min_by_key(|(.., rest)| rest.len())
            }
        }
    }
}

/// Collections that are open while a document is read.
enum Open {
    List {
        line: usize,
        anchor: usize,
        items: Vec<Rc<Node>>,
        nodes: usize,
    },
    Map {
        line: usize,
        anchor: usize,
        entries: Vec<(String, usize, Rc<Node>)>,
        key: Option<(String, usize)>,
        nodes: usize,
    },
}

/// A finished node, and its number of nodes with anchors written out.
type Sized = (Rc<Node>, usize);

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Sized>,
    documents: Vec<Rc<Node>>,
    /// Number of nodes in earlier documents.
    nodes: usize,
}

/// All documents of a text; empty ones are left out.
pub(super) fn read(text: &str) -> Result<Vec<Rc<Node>>, YamlError> {
    let mut parser = Parser::new_from_str(text.trim_start_matches(BOM));
    let mut builder = Builder::default();

    loop {
        let (event, mark) = parser
            .next_token()
            .map_err(|error| YamlError::new(error.marker().line(), error.info()))?;
        match event {
            Event::StreamEnd => return Ok(builder.documents),
            event => builder.take(event, mark)?,
        }
    }
}

impl Builder {
    fn take(&mut self, event: Event, mark: Marker) -> Result<(), YamlError> {
        let line = mark.line();
        if self.open.len() > MAX_DEPTH {
            return Err(YamlError::new(
                line,
                format!("is nested deeper than {MAX_DEPTH}"),
            ));
        }

        match event {
            Event::DocumentStart => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let is_block = style == TScalarStyle::Literal;
                // A key is always text.
                let kind = if self.awaits_key() {
                    Kind::Scalar(Value::String(text))
                } else {
                    scalar(text, style, tag.as_ref())
                };
                let node = Node {
                    line,
                    is_block,
                    kind,
                };
                self.put((Rc::new(node), 1), anchor, line)?;
            }
            Event::Alias(anchor) => {
                let found = self.anchors.get(&anchor).cloned();
                let found =
                    found.ok_or_else(|| YamlError::new(line, "an alias within its own anchor"))?;
                self.put(found, 0, line)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.open.push(Open::List {
                    line,
                    anchor,
                    items: Vec::new(),
                    nodes: 1,
                });
            }
            Event::MappingStart(anchor, _) => {
                self.open.push(Open::Map {
                    line,
                    anchor,
                    entries: Vec::new(),
                    key: None,
                    nodes: 1,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(line)?,
            _ => {}
        }

        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn close(&mut self, end: usize) -> Result<(), YamlError> {
        match self.open.pop() {
            Some(Open::List {
                line,
                anchor,
                items,
                nodes,
            }) => self.put((Node::new(line, Kind::List(items)), nodes), anchor, end),
            Some(Open::Map {
                line,
                anchor,
                entries,
                nodes,
                ..
            }) => {
                let entries = merged(entries);
                if let Some((key, at)) = repeated(&entries) {
                    return Err(YamlError::new(at, format!("the key {key} stands twice")));
                }
                self.put((Node::new(line, Kind::Map(entries)), nodes), anchor, end)
            }
            None => Ok(()),
        }
    }

    fn put(&mut self, (node, size): Sized, anchor: usize, line: usize) -> Result<(), YamlError> {
        if anchor > 0 {
            self.anchors.insert(anchor, (Rc::clone(&node), size));
        }

        let nodes = match self.open.last_mut() {
            None => {
                self.nodes += size;
                if !matches!(node.kind, Kind::Scalar(Value::Null)) {
                    self.documents.push(node);
                }
                return Ok(());
            }
            Some(Open::List { items, nodes, .. }) => {
                items.push(node);
                nodes
            }
            Some(Open::Map {
                entries,
                key,
                nodes,
                ..
            }) => {
                match key.take() {
                    Some((key, at)) => entries.push((key, at, node)),
                    None => *key = Some((key_of(&node)?, node.line)),
                }
                nodes
            }
        };

        *nodes += size;
        if self.nodes + *nodes > MAX_NODES {
            return Err(YamlError::new(
                line,
                format!("has more than {MAX_NODES} values"),
            ));
        }
        Ok(())
    }
}

fn key_of(node: &Node) -> Result<String, YamlError> {
    match &node.kind {
        Kind::Scalar(Value::String(text)) => Ok(text.clone()),
        Kind::Scalar(value) => Ok(value.to_string()),
        Kind::NumberOrText(_, text) => Ok(text.clone()),
        Kind::List(_) | Kind::Map(_) => Err(YamlError::new(node.line, "a key must be a text")),
    }
}

/// Applies `<<`: adds the entries of other maps under keys that are absent here.
fn merged(entries: Vec<(String, usize, Rc<Node>)>) -> Vec<(String, usize, Rc<Node>)> {
    let (merges, mut own): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(key, ..)| key == "<<");
    if merges.is_empty() {
        return own;
    }

    let mut known: HashSet<String> = own.iter().map(|(key, ..)| key.clone()).collect();
    for (_, _, node) in merges {
        let sources = if matches!(node.kind, Kind::List(_)) {
            node.items().to_vec()
        } else {
            vec![node]
        };
        for source in sources {
            let Kind::Map(more) = &source.kind else {
                continue;
            };
            for (key, line, value) in more {
                if known.insert(key.clone()) {
                    own.push((key.clone(), *line, Rc::clone(value)));
                }
            }
        }
    }

    own
}

fn repeated(entries: &[(String, usize, Rc<Node>)]) -> Option<(&str, usize)> {
    let mut seen = HashSet::new();
    entries
        .iter()
        .find(|(key, ..)| !seen.insert(key))
        .map(|(key, line, _)| (key.as_str(), *line))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Rc<Node> {
        read(text).unwrap().pop().unwrap()
    }

    #[track_caller]
    fn check_error(text: &str, line: usize, start: &str) {
        let error = read(text).unwrap_err();
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
    fn anchors_and_merges_are_written_out() {
        let text = "base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nagain: *b\n";
        assert_eq!(
            one(text).to_json(Reader::Kubernetes),
            json!({"base": {"x": 1, "y": 2}, "use": {"y": 3, "x": 1}, "again": {"x": 1, "y": 2}})
        );
    }

    #[test]
    fn several_documents_are_told_apart() {
        assert_eq!(read("a: 1\n---\n---\nb: 2\n...\n").unwrap().len(), 2);
        assert!(read("").unwrap().is_empty() && read("# nothing\n").unwrap().is_empty());
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
