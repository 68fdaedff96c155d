//! That what came from somebody and changed on the disk is told from a lie of theirs.

use rusqlite::Connection;

use super::{StoreError, kit, load};
use crate::base::Wall;
use crate::messaging::{ReceiptRecord, Record};
use crate::wire::{Leave, Signed};
use crate::{membership, node};

#[test]
fn a_flipped_bit_in_what_is_given_to_others_is_damage_and_not_a_lie_of_its_author() {
    let dir = tempfile::tempdir().unwrap();
    let home = kit::home(&dir.path().join("home"));
    let [ana, bo] = [0, 1].map(|number| kit::identity(&home, number));
    let (bytes, _) = kit::private(&bo, kit::run(5), ana.id(), 1, "for you");
    let private = Record::PrivateReceived { bytes, order: 1, at: Wall(1) };
    let records = [kit::received(&bo, 1, "what a day"), node::Record::Messaging(private)];
    kit::committer(&home).commit(&records).unwrap();
    for kind in ["group", "private"] {
        let db = Connection::open(home.database()).unwrap();
        let find = "SELECT n, bytes FROM messages WHERE kind = ?1";
        let (n, sound): (i64, Vec<u8>) = db.query_row(find, [kind], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let text = if kind == "group" { "what a day" } else { "for you" };
        let at = sound.windows(text.len()).position(|part| part == text.as_bytes()).unwrap();
        let mut flipped = sound.clone();
        flipped[at] ^= 1;
        let put = |bytes: &[u8]| db.execute("UPDATE messages SET bytes = ?2 WHERE n = ?1", (n, bytes)).unwrap();
        put(&flipped);
        let refused = load(&home).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        put(&sound);
        assert_eq!(load(&home).map(|records| records.len()).ok(), Some(4), "{kind}");
    }
}

#[test]
fn a_flipped_bit_in_what_somebody_signed_is_damage_too() {
    let dir = tempfile::tempdir().unwrap();
    let home = kit::home(&dir.path().join("home"));
    let [ana, bo] = [0, 1].map(|number| kit::identity(&home, number));
    let run = kit::run(5);
    let leave = Leave { room: kit::ROOM, member: bo.id(), run };
    let bytes = Signed::sign(leave, &bo).bytes().to_vec();
    let leave = membership::Record::Leave { member: bo.id(), run, bytes };
    let receipt = Record::Receipt(ReceiptRecord {
        receiver: bo.id(),
        receiver_run: run,
        author: ana.id(),
        group: Some(run),
        bytes: kit::receipt(&bo, ana.id(), Some(run), 1),
        replaces: false,
        settled: Vec::new(),
        at: Wall(1),
    });
    let [first, second] = ["this", "that"].map(|text| kit::group(&bo, run, 1, None, text).bytes().clone());
    let evidence = Record::Equivocation { author: bo.id(), run, first, second, at: Wall(1) };
    let records = [
        kit::card(&bo, "bo", run, 1),
        node::Record::Membership(leave),
        node::Record::Messaging(receipt),
        node::Record::Messaging(evidence),
    ];
    kit::committer(&home).commit(&records).unwrap();
    assert_eq!(load(&home).unwrap().len(), records.len());
    let db = Connection::open(home.database()).unwrap();
    let of = |part: &str| format!("{part} {} is not what it was when it was stored", bo.id());
    for (table, column, said) in [
        ("cards", "bytes", of("the card of")),
        ("cards", "leave_bytes", of("the goodbye of")),
        ("receipts", "bytes", of("a receipt of")),
        ("evidence", "first", of("the evidence against")),
        ("evidence", "second", of("the evidence against")),
    ] {
        let sound: Vec<u8> = db.query_row(&format!("SELECT {column} FROM {table}"), (), |row| row.get(0)).unwrap();
        let put = |bytes: &[u8]| db.execute(&format!("UPDATE {table} SET {column} = ?1"), [bytes]).unwrap();
        for at in (0..sound.len()).step_by(7).chain([sound.len() - 1]) {
            let mut flipped = sound.clone();
            flipped[at] ^= 1 << (at % 8);
            put(&flipped);
            let refused = load(&home).unwrap_err();
            assert!(matches!(&refused, StoreError::Damaged { why, .. } if *why == said), "{at}: {refused}");
        }
        put(&sound);
    }
    assert_eq!(load(&home).unwrap().len(), records.len());
}
