//! How the real server's answer and the fake's differ, for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

/// Where two answers differ, a line for each place: `PATH: REAL, not FAKE`.
pub(crate) fn tell(real: &Value, fake: &Value, path: &str, text: &mut String) {
    match (real, fake) {
        (real, fake) if real == fake => {}
        (Value::Object(of_real), Value::Object(of_fake)) => {
            let keys: BTreeSet<_> = of_real.keys().chain(of_fake.keys()).collect();
            let absent = Value::from("(absent)");
            for key in keys {
                let [real, fake] =
                    [of_real, of_fake].map(|fields| fields.get(key).unwrap_or(&absent));
                tell(real, fake, &format!("{path}.{key}"), text);
            }
        }
        (Value::Array(of_real), Value::Array(of_fake)) if of_real.len() == of_fake.len() => {
            for (at, (real, fake)) in of_real.iter().zip(of_fake).enumerate() {
                tell(real, fake, &format!("{path}[{at}]"), text);
            }
        }
        (real, fake) => {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {path}: {real}, not {fake}");
        }
    }
}
