//! Messages as servers send them, and such as none should.

use super::*;

/// The answer to `question`, with records written as (owner, kind, data).
fn answer(
    kind: Kind,
    answers: &[(&[u8], Kind, &[u8])],
    additional: &[(&[u8], Kind, &[u8])],
) -> Vec<u8> {
    let mut message = question("web.service.consul", kind);
    message[2..4].copy_from_slice(&0x8580_u16.to_be_bytes());
    message[6..8].copy_from_slice(&u16::try_from(answers.len()).unwrap().to_be_bytes());
    message[10..12].copy_from_slice(&u16::try_from(additional.len()).unwrap().to_be_bytes());
    for (owner, kind, data) in answers.iter().chain(additional) {
        message.extend(*owner);
        message.extend(kind.number().to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 0]);
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(*data);
    }
    message
}

/// A pointer to the name in the question.
const ASKED: &[u8] = &[0xc0, 12];
const HOST: &[u8] = b"\x04host\xc0\x18";

#[test]
fn a_question_is_one_name_of_one_kind() {
    assert_eq!(
        question("web.consul.", Kind::Srv),
        [
            b"\x63\x73\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".as_slice(),
            b"\x03web\x06consul\x00",
            b"\x00\x21\x00\x01"
        ]
        .concat()
    );
}

#[test]
fn addresses_are_read_and_sorted() {
    let message = answer(
        Kind::A,
        &[
            (ASKED, Kind::A, &[10, 0, 0, 9]),
            (ASKED, Kind::A, &[10, 0, 0, 7]),
        ],
        &[],
    );
    let answer = read(&message).unwrap();
    assert_eq!(
        answer.records[0],
        Record::A {
            name: "web.service.consul".to_owned(),
            address: [10, 0, 0, 9].into()
        }
    );
    assert_eq!(
        answer.addresses(),
        [IpAddr::from([10, 0, 0, 7]), IpAddr::from([10, 0, 0, 9])]
    );
}

#[test]
fn an_alias_comes_with_the_address_it_stands_for() {
    let message = answer(
        Kind::A,
        &[(ASKED, Kind::Cname, HOST), (HOST, Kind::A, &[10, 0, 0, 7])],
        &[],
    );
    let answer = read(&message).unwrap();
    assert_eq!(answer.targets(), ["host.consul"]);
    assert_eq!(answer.addresses(), [IpAddr::from([10, 0, 0, 7])]);
}

#[test]
fn a_port_goes_with_the_address_of_its_host() {
    // Byte 24 of the message is where `consul` begins: 12 for the header, 4 for `web`, 8 for `service`.
    let service = [&[0, 1, 0, 1, 0x1f, 0x90], HOST].concat();
    let message = answer(
        Kind::Srv,
        &[(ASKED, Kind::Srv, &service)],
        &[(HOST, Kind::A, &[10, 0, 0, 7])],
    );
    let answer = read(&message).unwrap();
    assert_eq!(
        answer.records,
        [Record::Srv {
            port: 8080,
            target: "host.consul".to_owned()
        }]
    );
    assert_eq!(answer.places(), ["10.0.0.7:8080".parse().unwrap()]);
}

#[test]
fn an_unknown_name_is_an_answer_with_a_code() {
    let mut message = answer(Kind::A, &[], &[]);
    message[3] = 0x83;
    let answer = read(&message).unwrap();
    assert_eq!((answer.code, answer.records.len()), (3, 0));
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    let whole = answer(Kind::A, &[(ASKED, Kind::A, &[10, 0, 0, 7])], &[]);
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length]), None, "{length}");
    }
}

#[test]
fn a_question_and_an_answer_to_another_question_are_refused() {
    assert_eq!(read(&question("web.service.consul", Kind::A)), None);
    let mut other = answer(Kind::A, &[], &[]);
    other[0] ^= 1;
    assert_eq!(read(&other), None);
}

#[test]
fn a_pointer_to_itself_ends() {
    let message = answer(Kind::A, &[(&[0xc0, 36], Kind::A, &[10, 0, 0, 7])], &[]);
    assert_eq!(read(&message), None);
}
