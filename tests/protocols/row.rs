//! The rows of the table, and functions to define them.

use crate::expect::{Attribute, Cells};
use crate::order::Order;
use crate::traffic::Traffic;

/// One row.
#[derive(Clone)]
pub struct Row {
    /// The client's protocol.
    pub protocol: &'static str,
    /// Index of the order in [`Table::orders`].
    pub order: usize,
    /// Its ending, as text for users.
    pub ending: &'static str,
    pub traffic: Traffic,
    /// The client's result, in the words of [`crate::traffic::describe`].
    pub client: &'static str,
    pub expected: Cells,
    /// Further attributes of the record.
    pub attributes: Vec<Attribute>,
}

impl Row {
    /// The record has this attribute with this value.
    pub fn is(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.attributes.push(Attribute::Is(name, value.into()));
        self
    }

    /// The record has this attribute.
    pub fn has(&mut self, name: &'static str) -> &mut Self {
        self.attributes.push(Attribute::Present(name));
        self
    }
}

/// All rows, and their orders.
#[derive(Default)]
pub struct Table {
    pub orders: Vec<Order>,
    pub rows: Vec<Row>,
}

impl Table {
    /// Adds an order; yields its index.
    pub fn order(&mut self, order: Order) -> usize {
        self.orders.push(order);
        self.orders.len() - 1
    }

    /// Adds a row; `expected` is a short form as [`Cells::parse`] reads it.
    pub fn row(
        &mut self,
        (protocol, order): (&'static str, usize),
        ending: &'static str,
        traffic: impl Into<Traffic>,
        client: &'static str,
        expected: &str,
    ) -> &mut Row {
        let (traffic, expected) = (traffic.into(), Cells::parse(expected));
        self.rows.push(Row {
            protocol,
            order,
            ending,
            traffic,
            client,
            expected,
            attributes: Vec::new(),
        });

        self.rows.last_mut().unwrap()
    }
}
