//! The UID of an object, in little room.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The UID of an object; an empty text where it has none.
///
/// An API server makes UUIDs, and the text of one takes three times as much as the number that it stands for. The API
/// only says that a UID is a text, and nothing else is asked of it than whether it is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Uid {
    /// A UUID in its canonical form: the number gives the same text again.
    Number([u8; 16]),
    /// Any other text.
    Text(Box<str>),
}

impl Uid {
    /// That of an object.
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        let text = metadata.uid.as_deref().unwrap_or_default();
        number(text).map_or_else(|| Self::Text(text.into()), Self::Number)
    }
}

/// The number of a UUID in lower case with its four hyphens. No other text has one, so no two texts have the same.
fn number(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut number: u128 = 0;
    for (at, byte) in text.bytes().enumerate() {
        let digit = match byte {
            b'-' if matches!(at, 8 | 13 | 18 | 23) => continue,
            _ if matches!(at, 8 | 13 | 18 | 23) => return None,
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(digit);
    }
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::of(&ObjectMeta {
            uid: Some(text.to_owned()),
            ..ObjectMeta::default()
        })
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            // Nearly one.
            "0{8}-0{4}[-0]0{4}[-0]0{4}-0{11}[01aA]",
            "[0-1-]{0,3}",
        ]
    }

    proptest! {
        #[test]
        fn the_number_of_a_uuid_gives_its_text_again(number in any::<u128>()) {
            let digits = format!("{number:032x}");
            let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
            prop_assert_eq!(uid(&groups.join("-")), Uid::Number(number.to_be_bytes()));
        }

        #[test]
        fn uids_are_equal_exactly_where_their_texts_are(one in any_text(), other in any_text()) {
            prop_assert_eq!(uid(&one) == uid(&other), one == other);
        }
    }

    #[test]
    fn what_is_no_uuid_in_canonical_form_stays_a_text() {
        for text in [
            "",
            "u-web",
            "0F6B1F0E-4A4B-4A7E-9D58-000000000001",
            "0f6b1f0e4a4b4a7e9d58000000000001",
            "0f6b1f0e-4a4b-4a7e-9d58-00000000000",
            "0f6b1f0e-4a4b-4a7e-9d5800000000-0001",
            "0f6b1f0e-4a4b-4a7e-9d58-00000000000g",
            "{f6b1f0e-4a4b-4a7e-9d58-00000000000}",
        ] {
            assert_eq!(uid(text), Uid::Text(text.into()), "{text}");
        }
        assert_eq!(Uid::of(&ObjectMeta::default()), uid(""));
    }
}
