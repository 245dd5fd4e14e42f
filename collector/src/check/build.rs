//! Builds trees from the events of a parser. An anchor is one shared node, so that a short text does
//! not become a large tree.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;
use yaml_rust2::Event;
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::node::{Kind, Node};
use super::reader::Reader;
use super::scalar::scalar;

/// Deepest nesting of a file, and most nodes with its anchors written out. Manifests have far less.
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 1_000_000;

/// Why a text cannot be checked as YAML, and in which line.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) text: String,
}

impl YamlError {
    pub(super) fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
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

impl Open {
    fn list(line: usize, anchor: usize) -> Self {
        Self::List {
            line,
            anchor,
            items: Vec::new(),
            nodes: 1,
        }
    }

    fn map(line: usize, anchor: usize) -> Self {
        Self::Map {
            line,
            anchor,
            entries: Vec::new(),
            key: None,
            nodes: 1,
        }
    }
}

/// A finished node, and its number of nodes with anchors written out.
type Sized = (Rc<Node>, usize);

pub(super) struct Builder {
    reader: Reader,
    open: Vec<Open>,
    anchors: HashMap<usize, Sized>,
    pub(super) documents: Vec<Rc<Node>>,
    /// Number of nodes in earlier documents.
    nodes: usize,
}

impl Builder {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            open: Vec::new(),
            anchors: HashMap::new(),
            documents: Vec::new(),
            nodes: 0,
        }
    }

    pub(super) fn begin(&mut self, reader: Reader) {
        self.reader = reader;
        self.anchors.clear();
    }

    pub(super) fn take(&mut self, event: Event, mark: Marker) -> Result<(), YamlError> {
        let line = mark.line();
        if self.open.len() > MAX_DEPTH {
            return Err(too_deep(line));
        }

        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // A key is always text.
                let value = if self.awaits_key() {
                    Value::String(text)
                } else {
                    scalar(text, style, tag.as_ref(), self.reader)
                };
                let node = Node {
                    line,
                    is_block: style == TScalarStyle::Literal,
                    kind: Kind::Scalar(value),
                };
                self.put((Rc::new(node), 1), anchor, line)?;
            }
            Event::Alias(anchor) => {
                let found = self.anchors.get(&anchor).cloned();
                let found =
                    found.ok_or_else(|| YamlError::new(line, "an alias within its own anchor"))?;
                self.put(found, 0, line)?;
            }
            Event::SequenceStart(anchor, _) => self.open.push(Open::list(line, anchor)),
            Event::MappingStart(anchor, _) => self.open.push(Open::map(line, anchor)),
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
                let has_merge = entries.iter().any(|(key, ..)| key == "<<");
                let entries = if has_merge && self.reader.merges() {
                    merged(entries)?
                } else {
                    entries
                };
                let repeated = repeated(&entries).filter(|_| !self.reader.takes_repeated_keys());
                if let Some((key, at)) = repeated {
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
            return Err(too_large(line));
        }
        Ok(())
    }
}

fn too_deep(line: usize) -> YamlError {
    YamlError::new(line, format!("is nested deeper than {MAX_DEPTH}"))
}

fn too_large(line: usize) -> YamlError {
    YamlError::new(line, format!("has more than {MAX_NODES} values"))
}

fn key_of(node: &Node) -> Result<String, YamlError> {
    match &node.kind {
        Kind::Scalar(Value::String(text)) => Ok(text.clone()),
        Kind::Scalar(value) => Ok(value.to_string()),
        Kind::List(_) | Kind::Map(_) => Err(YamlError::new(node.line, "a key must be a text")),
    }
}

/// An entry of a map: key, line, value.
type MapEntry = (String, usize, Rc<Node>);

/// Applies `<<` in the order of the text, as Kubernetes does: a merged key replaces one that stands
/// before it (<https://github.com/kubernetes-sigs/yaml/blob/master/goyaml.v2/decode.go>, `mapping`).
/// Of a list of maps the first one counts.
fn merged(entries: Vec<MapEntry>) -> Result<Vec<MapEntry>, YamlError> {
    let mut own: Vec<MapEntry> = Vec::new();
    let mut from_merge: HashSet<String> = HashSet::new();

    for (key, line, node) in entries {
        if key != "<<" {
            if from_merge.remove(&key) {
                own.retain(|(known, ..)| *known != key);
            }
            own.push((key, line, node));
            continue;
        }
        let sources = match &node.kind {
            Kind::List(items) => items.iter().rev().cloned().collect(),
            _ => vec![node],
        };
        for source in sources {
            let Kind::Map(more) = &source.kind else {
                return Err(YamlError::new(line, "<< needs a map, or a list of maps"));
            };
            for (key, line, value) in more {
                own.retain(|(known, ..)| known != key);
                own.push((key.clone(), *line, Rc::clone(value)));
                from_merge.insert(key.clone());
            }
        }
    }
    Ok(own)
}

fn repeated(entries: &[(String, usize, Rc<Node>)]) -> Option<(&str, usize)> {
    let mut seen = HashSet::new();
    entries
        .iter()
        .find(|(key, ..)| !seen.insert(key))
        .map(|(key, line, _)| (key.as_str(), *line))
}
