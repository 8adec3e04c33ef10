//! Users that the API server knows by fixed tokens.

use std::fmt::Write;

/// The token of the administrator.
pub(super) const ADMIN_TOKEN: &str = "testbed-admin";

/// A user that the API server knows by a fixed token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name, as in a `RoleBinding`'s subject.
    pub name: String,
    /// The bearer token.
    pub token: String,
    /// The groups; `system:masters` may do everything.
    pub groups: Vec<String>,
}

/// The token file: one user a line, the groups quoted since commas part them too.
pub(super) fn token_file(users: &[User]) -> String {
    let admin = User {
        name: "admin".to_owned(),
        token: ADMIN_TOKEN.to_owned(),
        groups: vec!["system:masters".to_owned()],
    };
    let mut file = String::new();
    for user in std::iter::once(&admin).chain(users) {
        let (name, token, groups) = (&user.name, &user.token, user.groups.join(","));
        // Writing to a String cannot fail.
        let _ = writeln!(file, "{token},{name},{name},\"{groups}\"");
    }
    file
}
