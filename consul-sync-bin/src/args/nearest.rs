//! The known name that a mistyped one most likely stands for.

/// Names less alike than this are no help.
const LEAST: f64 = 0.8;

/// The known name nearest to this one, if any is near.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = |text: &str| text.replace(['-', '_'], "").to_lowercase();
    let wanted = folded(name);
    known
        .map(|other| (strsim::jaro_winkler(&wanted, &folded(other)), other))
        .filter(|(likeness, _)| *likeness >= LEAST)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_found_and_another_word_is_not() {
        let known = ["consul-addr", "cluster-ip", "brake-share"];
        for (name, near) in [
            ("consul-adr", Some("consul-addr")),
            ("consul_addr", Some("consul-addr")),
            ("ClusterIP", Some("cluster-ip")),
            ("brake-shrae", Some("brake-share")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), near, "{name}");
        }
    }
}
