//! Asking a running process to let held deletes go.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use crate::direction::Direction;

const PATIENCE: Duration = Duration::from_secs(5);
/// Much more than any answer of ours.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// Sends the request to the admin server that listens at this address, and gives its answer's text.
///
/// # Errors
/// Says what did not work; the process's own words when it refused.
pub(crate) fn release_brake(
    listen: SocketAddr,
    direction: Option<Direction>,
) -> Result<String, String> {
    let address = reachable(listen);
    let answer = ask(address, direction).map_err(|error| {
        format!(
            "cannot reach the process at http://{address}: {error}; give the address it listens on with --listen, and run \
             this where it runs"
        )
    })?;
    read_answer(&answer).unwrap_or_else(|| {
        Err(format!(
            "what listens at http://{address} is not consul-sync"
        ))
    })
}

fn ask(address: SocketAddr, direction: Option<Direction>) -> io::Result<String> {
    let query = direction.map_or_else(String::new, |direction| {
        format!("?direction={}", direction.as_str())
    });
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /brake/release{query} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// "Every interface" is where one listens, not where one connects to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // The server's socket for every interface takes both families where the system has both.
        IpAddr::V6(ip)
            if ip.is_unspecified()
                && TcpStream::connect((Ipv6Addr::LOCALHOST, listen.port())).is_err() =>
        {
            Ipv4Addr::LOCALHOST.into()
        }
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The body, as success or refusal; `None` when it is no HTTP.
fn read_answer(answer: &str) -> Option<Result<String, String>> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    let body = body.trim().to_owned();
    match status {
        "200" => Some(Ok(body)),
        "400" | "403" | "409" | "503" => Some(Err(body)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_bodys_text() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes\n";
        assert_eq!(read_answer(answer), Some(Ok("yes".to_owned())));
        let answer = "HTTP/1.1 409 Conflict\r\n\r\nnothing to release\n";
        assert_eq!(
            read_answer(answer),
            Some(Err("nothing to release".to_owned()))
        );
    }

    #[test]
    fn another_program_is_not_taken_for_ours() {
        for answer in [
            "",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\n\r\nno such page",
        ] {
            assert_eq!(read_answer(answer), None, "{answer:?}");
        }
    }

    #[test]
    fn a_process_that_listens_everywhere_is_asked_at_loopback() {
        assert_eq!(
            reachable("0.0.0.0:9".parse().unwrap()),
            "127.0.0.1:9".parse().unwrap()
        );
        assert_eq!(
            reachable("10.0.0.1:9".parse().unwrap()),
            "10.0.0.1:9".parse().unwrap()
        );
        assert!(reachable("[::]:9".parse().unwrap()).ip().is_loopback());
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error_that_names_the_flag() {
        let gone = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap();
        let error = release_brake(gone, None).unwrap_err();
        assert!(
            error.contains(&gone.to_string()) && error.contains("--listen"),
            "{error}"
        );
    }
}
