//! Annotations on a Service that say how it is registered.

/// What the names of all our annotations start with.
pub(crate) const PREFIX: &str = "consul.hashicorp.com/";
