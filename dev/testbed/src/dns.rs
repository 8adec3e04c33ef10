//! One question to a DNS server over UDP, as an application asks it: A, CNAME and SRV records (RFC 1035, RFC 2782).
//!
//! It is written out here because it is all that tests and the demo need of DNS. It does not retry over TCP, ask again
//! for the target of an alias, or check signatures.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::net::UdpSocket;

use crate::{Error, Result};

const DEADLINE: Duration = Duration::from_secs(5);
const ID: u16 = 0x6373;
const RECURSION_DESIRED: u16 = 0x0100;
const IS_ANSWER: u16 = 0x8000;
const CODE: u16 = 0x000f;
const CLASS_IN: u16 = 1;
const HEADER: usize = 12;
/// A name has at most 127 labels, so a chain of more pointers than that leads nowhere.
const MAX_JUMPS: usize = 127;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Addresses.
    A,
    /// The name that an alias stands for.
    Cname,
    /// Ports and the names of the hosts that serve them.
    Srv,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address of a name.
    A {
        /// The name.
        name: String,
        /// The address.
        address: Ipv4Addr,
    },
    /// An alias.
    Cname {
        /// The name that was asked for.
        name: String,
        /// The name that it stands for.
        target: String,
    },
    /// A port on a host.
    Srv {
        /// The port.
        port: u16,
        /// The host's name.
        target: String,
    },
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The response code: 0 is success, 3 an unknown name.
    pub code: u16,
    /// The records that were asked for.
    pub records: Vec<Record>,
    /// The records sent along: the addresses of the hosts in SRV records.
    pub additional: Vec<Record>,
}

/// Asks this server for the records of a name; an alias comes with what it stands for.
///
/// # Errors
/// [`Error::Unanswered`] when there is no answer within 5 seconds, or it cannot be read.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> consul_sync_testbed::Result<()> {
/// use consul_sync_testbed::dns::{self, Kind};
/// use consul_sync_testbed::{Consul, ConsulVersion, Program, Programs};
///
/// if !Programs::locate().all_or_skip(&[Program::Consul(ConsulVersion::default())]) {
///     return Ok(());
/// }
/// let consul = Consul::start(ConsulVersion::default()).await?;
/// let answer = dns::ask(consul.dns_addr(), "consul.service.consul", Kind::A).await?;
/// assert_eq!(answer.addresses(), [std::net::IpAddr::from([127, 0, 0, 1])]);
/// # Ok(())
/// # }
/// ```
pub async fn ask(server: SocketAddr, name: &str, kind: Kind) -> Result<Answer> {
    let unanswered = |reason: String| Error::Unanswered {
        method: "DNS".to_owned(),
        url: format!("{name} at {server}"),
        reason,
    };
    let question = question(name, kind);
    let exchange = async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(server).await?;
        socket.send(&question).await?;
        let mut answer = vec![0; usize::from(u16::MAX)];
        let length = socket.recv(&mut answer).await?;
        answer.truncate(length);
        std::io::Result::Ok(answer)
    };
    let message = tokio::time::timeout(DEADLINE, exchange)
        .await
        .map_err(|_| unanswered(format!("nothing within {DEADLINE:?}")))?
        .map_err(|error| unanswered(error.to_string()))?;
    read(&message).ok_or_else(|| unanswered("the answer is not a readable DNS message".to_owned()))
}

impl Answer {
    /// The addresses, sorted.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<_> = self
            .records
            .iter()
            .filter_map(|record| match record {
                Record::A { address, .. } => Some(IpAddr::V4(*address)),
                _ => None,
            })
            .collect();
        addresses.sort();
        addresses
    }

    /// The names that aliases stand for, in the order of the answer.
    pub fn targets(&self) -> Vec<&str> {
        let targets = self.records.iter().filter_map(|record| match record {
            Record::Cname { target, .. } => Some(target.as_str()),
            _ => None,
        });
        targets.collect()
    }

    /// The places that SRV records name, by the addresses sent along, sorted.
    pub fn places(&self) -> Vec<SocketAddr> {
        let address_of = |host: &str| {
            self.additional.iter().find_map(|record| match record {
                Record::A { name, address } if name == host => Some(*address),
                _ => None,
            })
        };
        let mut places: Vec<_> = self
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Srv { port, target } => Some((address_of(target)?, *port).into()),
                _ => None,
            })
            .collect();
        places.sort();
        places
    }
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Cname => 5,
            Self::Srv => 33,
        }
    }
}

// ---- the message ------------------------------------------------------------------------------------------------------

fn question(name: &str, kind: Kind) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + name.len() + 6);
    for number in [ID, RECURSION_DESIRED, 1, 0, 0, 0] {
        message.extend(number.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        // Longer labels are not allowed; cut, they lead to an unknown name.
        let label = &label.as_bytes()[..label.len().min(63)];
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend(label);
    }
    message.push(0);
    message.extend(kind.number().to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    message
}

/// Reads an answer to our question; nothing for a message that is cut or no answer.
fn read(message: &[u8]) -> Option<Answer> {
    let flags = number(message, 2)?;
    if number(message, 0)? != ID || flags & IS_ANSWER == 0 {
        return None;
    }
    let [questions, answers, authorities, additional] = [4, 6, 8, 10].map(|at| number(message, at));
    let mut at = HEADER;
    for _ in 0..questions? {
        at = name(message, at)?.1 + 4;
    }
    let (records, at) = section(message, at, answers?)?;
    let (_, at) = section(message, at, authorities?)?;
    let (additional, _) = section(message, at, additional?)?;
    Some(Answer {
        code: flags & CODE,
        records,
        additional,
    })
}

/// The records of one section that are of a kind known here, and where the next section begins.
fn section(message: &[u8], mut at: usize, count: u16) -> Option<(Vec<Record>, usize)> {
    let mut records = Vec::new();
    for _ in 0..count {
        let (owner, head) = name(message, at)?;
        let data = head + 10;
        let length = usize::from(number(message, head + 8)?);
        let bytes = message.get(data..data + length)?;
        let kind = number(message, head)?;
        if kind == Kind::A.number() {
            let octets = <[u8; 4]>::try_from(bytes).ok()?;
            records.push(Record::A {
                name: owner,
                address: octets.into(),
            });
        } else if kind == Kind::Cname.number() {
            records.push(Record::Cname {
                name: owner,
                target: name(message, data)?.0,
            });
        } else if kind == Kind::Srv.number() {
            records.push(Record::Srv {
                port: number(message, data + 4)?,
                target: name(message, data + 6)?.0,
            });
        }
        at = data + length;
    }
    Some((records, at))
}

/// The name at `at`, without a dot at its end, and what follows it.
fn name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels: Vec<String> = Vec::new();
    let mut end = None;
    let mut jumps = 0;
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some((labels.join("."), end.unwrap_or(at + 1))),
            // Two bits say that the rest stands elsewhere in the message.
            0xc0.. => {
                jumps += 1;
                if jumps > MAX_JUMPS {
                    return None;
                }
                end.get_or_insert(at + 2);
                at = usize::from(number(message, at)? & 0x3fff);
            }
            0x40.. => return None,
            _ => {
                let label = message.get(at + 1..at + 1 + length)?;
                labels.push(String::from_utf8_lossy(label).into_owned());
                at += 1 + length;
            }
        }
    }
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests;
