//! One DNS question over UDP: what an application asks to find a service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::{Error, Result};

const DEADLINE: Duration = Duration::from_secs(5);
const ID: u16 = 0x5e4c;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
const HEADER: usize = 12;

pub(super) async fn resolve(server: SocketAddr, name: &str) -> Result<Vec<IpAddr>> {
    let unanswered = |reason: String| Error::Unanswered {
        method: "DNS".to_owned(),
        url: format!("{name} at {server}"),
        reason,
    };
    let exchange = async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(server).await?;
        socket.send(&question(name)).await?;
        let mut answer = vec![0; 65_535];
        let length = socket.recv(&mut answer).await?;
        answer.truncate(length);
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(DEADLINE, exchange)
        .await
        .map_err(|_| unanswered(format!("nothing within {DEADLINE:?}")))?
        .map_err(|error| unanswered(error.to_string()))?;
    addresses(&answer)
        .ok_or_else(|| unanswered("the answer is not a readable DNS message".to_owned()))
}

fn question(name: &str) -> Vec<u8> {
    let mut message = Vec::new();
    // Identifier, "recursion desired", one question, nothing else.
    for field in [ID, 0x0100, 1, 0, 0, 0] {
        message.extend(field.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
        message.push(length);
        message.extend(label.bytes().take(usize::from(length)));
    }
    message.push(0);
    message.extend(TYPE_A.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    message
}

/// The addresses of an answer's A records; `None` when the message ends too early.
fn addresses(message: &[u8]) -> Option<Vec<IpAddr>> {
    let questions = number(message, 4)?;
    let answers = number(message, 6)?;
    let mut at = HEADER;
    for _ in 0..questions {
        at = after_name(message, at)? + 4;
    }
    let mut addresses = Vec::new();
    for _ in 0..answers {
        at = after_name(message, at)?;
        let kind = number(message, at)?;
        let length = usize::from(number(message, at + 8)?);
        let data = message.get(at + 10..at + 10 + length)?;
        if let (TYPE_A, Ok(octets)) = (kind, <[u8; 4]>::try_from(data)) {
            addresses.push(IpAddr::from(octets));
        }
        at += 10 + length;
    }
    Some(addresses)
}

/// Where the name at `at` ends: labels up to an empty one, or up to a pointer elsewhere.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(
        message.get(at..at + 2)?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(address: [u8; 4]) -> Vec<u8> {
        let mut message = question("web.service.consul");
        message[6..8].copy_from_slice(&1_u16.to_be_bytes());
        message.extend([0xc0, 0x0c]); // the name, by a pointer to the question
        message.extend([0, 1, 0, 1, 0, 0, 0, 0, 0, 4]); // A, IN, no time to live, 4 bytes
        message.extend(address);
        message
    }

    #[test]
    fn an_answer_with_a_compressed_name_is_read() {
        assert_eq!(
            addresses(&answer([10, 0, 0, 7])),
            Some(vec![IpAddr::from([10, 0, 0, 7])])
        );
    }

    #[test]
    fn an_answer_without_records_has_no_addresses() {
        assert_eq!(addresses(&question("nobody.service.consul")), Some(vec![]));
    }

    #[test]
    fn a_message_cut_anywhere_is_refused() {
        let whole = answer([10, 0, 0, 7]);
        for length in 0..whole.len() {
            assert_eq!(addresses(&whole[..length]), None, "{length}");
        }
    }
}
