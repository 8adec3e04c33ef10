//! How Consul is reached.

use consul_sync_consul::{ClientSettings, Login, LoginSettings, TlsSettings, TokenSource};

use crate::args::{
    given::{Given, Origin},
    table::{consul, login},
};

/// All of it, with bad values noted in `given`.
pub(super) fn settings(given: &mut Given) -> ClientSettings {
    let mut settings = ClientSettings::new(String::new());
    settings.addresses = given.many(&consul::ADDR);
    if settings.addresses.is_empty() {
        given.refuse(&consul::ADDR, "expected at least one address");
    }
    settings.address_command = given.optional(&consul::ADDR_COMMAND);
    if settings.address_command.is_some() && given.origin(&consul::ADDR) == Origin::Flag {
        given.refuse(
            &consul::ADDR,
            "expected without --consul-addr-command: only one of them can be used",
        );
    }
    settings.port = given.optional(&consul::PORT);
    settings.use_tls = given.one(&consul::TLS);
    settings.token = token(given);
    settings.tls = tls_settings(given);
    settings.partition = given.optional(&consul::PARTITION);
    settings.datacenter = given.optional(&consul::DATACENTER);
    settings.timeout = given.one(&consul::TIMEOUT);
    settings.connections = given.one(&consul::CONNECTIONS);
    settings.answer_limit = (given.one(&consul::ANSWER_LIMIT) as u64).saturating_mul(1 << 20);
    settings
}

fn tls_settings(given: &mut Given) -> TlsSettings {
    let mut settings = TlsSettings::default();
    settings.ca_file = given.optional(&consul::CA_FILE);
    settings.ca_dir = given.optional(&consul::CA_DIR);
    settings.ca_pem = given.optional(&consul::CA_PEM);
    settings.server_name = given.optional(&consul::TLS_SERVER_NAME);
    settings.client_cert = given.optional(&consul::CLIENT_CERT);
    settings.client_key = given.optional(&consul::CLIENT_KEY);
    if settings.client_cert.is_some() && settings.client_key.is_none() {
        given.refuse(
            &consul::CLIENT_CERT,
            "expected together with --consul-client-key",
        );
    }
    if settings.client_key.is_some() && settings.client_cert.is_none() {
        given.refuse(
            &consul::CLIENT_KEY,
            "expected together with --consul-client-cert",
        );
    }
    settings
}

/// A flag goes before a variable; of two flags neither, and of two variables the file, as Consul's own commands
/// have it.
fn token(given: &mut Given) -> TokenSource {
    let (token, file) = (
        given.optional(&consul::TOKEN),
        given.optional(&consul::TOKEN_FILE),
    );
    if let Some(login) = login_settings(given) {
        if given.origin(&consul::TOKEN) == Origin::Flag
            || given.origin(&consul::TOKEN_FILE) == Origin::Flag
        {
            given.refuse(
                &login::METHOD,
                "expected without --consul-token and --consul-token-file: only one of them can be used",
            );
        }
        return TokenSource::Login(Login::new(login));
    }
    let is_flag = (
        given.origin(&consul::TOKEN) == Origin::Flag,
        given.origin(&consul::TOKEN_FILE) == Origin::Flag,
    );
    match (token, file, is_flag) {
        (Some(_), Some(_), (true, true)) => {
            given.refuse(
                &consul::TOKEN_FILE,
                "expected without --consul-token: only one of them can be used",
            );
            TokenSource::Anonymous
        }
        (Some(token), Some(_), (true, false)) | (Some(token), None, _) => TokenSource::Value(token),
        (_, Some(file), _) => TokenSource::File(file),
        (None, None, _) => TokenSource::Anonymous,
    }
}

fn login_settings(given: &mut Given) -> Option<LoginSettings> {
    let file = given.optional(&login::BEARER_TOKEN_FILE);
    let mut settings = LoginSettings::new(given.optional(&login::METHOD)?);
    if let Some(file) = file {
        settings.bearer_token_file = file;
    }
    settings.datacenter = given.optional(&login::DATACENTER);
    settings.partition = given.optional(&login::PARTITION);
    settings.namespace = given.optional(&login::NAMESPACE);
    settings.meta = given.many(&login::META).into_iter().collect();
    Some(settings)
}

#[cfg(test)]
mod tests;
