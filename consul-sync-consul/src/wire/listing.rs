//! Listings, read element by element: a listing of 100,000 instances is never in memory as a whole.

use std::{fmt, io::Read, marker::PhantomData};

use serde::{
    Deserialize, Deserializer as _,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Node;

/// `/v1/catalog/node-services/NODE`: the node, and each service passed to a callback.
#[derive(Debug)]
pub(crate) struct NodeListing;

/// Reads a JSON array and passes each element to a callback. `null` is an empty array.
pub(crate) fn each_element<T: DeserializeOwned>(
    reader: &mut dyn Read,
    visit: impl FnMut(T),
) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    Elements(visit, PhantomData).deserialize(&mut deserializer)?;
    deserializer.end()
}

// === impl NodeListing ===

impl NodeListing {
    /// Reads a listing; the node is `None` where Consul knows none of that name.
    pub(crate) fn read<T: DeserializeOwned>(
        reader: &mut dyn Read,
        visit: impl FnMut(T),
    ) -> serde_json::Result<Option<Node>> {
        let mut deserializer = serde_json::Deserializer::from_reader(reader);
        let node = deserializer.deserialize_map(ListingVisitor(visit, PhantomData))?;
        deserializer.end()?;
        Ok(node)
    }
}

struct ListingVisitor<F, T>(F, PhantomData<T>);

impl<'de, T: DeserializeOwned, F: FnMut(T)> Visitor<'de> for ListingVisitor<F, T> {
    type Value = Option<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node and its services")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut node: Option<Node> = None;
        let mut has_node = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "Node" => {
                    node = map.next_value()?;
                    has_node = true;
                }
                "Services" => map.next_value_seed(Elements(&mut self.0, PhantomData))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_node {
            Ok(node)
        } else {
            // `{}` is no listing of anything: an empty one says `"Node": null`.
            Err(serde::de::Error::missing_field("Node"))
        }
    }
}

struct Elements<F, T>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Elements<F, T> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Elements<F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            self.0(element);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ServiceStamp;

    fn read(text: &str) -> serde_json::Result<(Option<Node>, Vec<String>)> {
        let mut ids = Vec::new();
        let node = NodeListing::read(&mut text.as_bytes(), |service: ServiceStamp| {
            ids.push(service.id);
        })?;
        Ok((node, ids))
    }

    #[test]
    fn fault_c08_an_unknown_node_is_an_empty_listing() {
        let (node, ids) = read(r#"{"Node":null,"Services":null}"#).unwrap();
        assert!(node.is_none() && ids.is_empty());
    }

    #[test]
    fn services_are_passed_on_one_by_one() {
        let text = r#"{"Node":{"Node":"n","New":1},"Services":[{"ID":"a"},{"ID":"b"}],"More":{}}"#;
        let (node, ids) = read(text).unwrap();
        assert_eq!(node.unwrap().name, "n");
        assert_eq!(ids, ["a", "b"]);
    }

    #[test]
    fn what_is_no_listing_is_an_error() {
        for text in [
            "{}",
            "[]",
            "null",
            "\"x\"",
            "",
            "{\"Node\":null",
            "{\"Node\":null} x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let mut none = Vec::new();
        for text in ["{}", "", "[{\"ID\":\"a\"}", "[] []"] {
            let read = each_element(&mut text.as_bytes(), |check: ServiceStamp| none.push(check));
            assert!(read.is_err(), "{text}");
        }
    }
}
