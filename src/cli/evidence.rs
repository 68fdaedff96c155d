//! `moot evidence`: writes a file of evidence, and reads one without asking anybody. Owns the file as such and the exit
//! codes; what it proves is judged in `evidence`, and said in `view`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::anyhow;
use serde_json::json;

use super::ask::Node;
use super::exit::{Exit, Failure};
use super::out::{self, Form, Output};
use crate::base::limits::EVIDENCE_BYTES_MAX;
use crate::base::{RoomId, text};
use crate::evidence;
use crate::runtime::ClientError;
use crate::runtime::protocol::{Request, Response};
use crate::view::Names;

/// Asks the node for the evidence and writes it to `out`, which must not be there: nothing is overwritten.
pub(super) fn export(home: &Path, what: &str, out: &Path, output: Output) -> Result<Exit, Failure> {
    let file = match Node::at(home)?.ask(Request::Evidence { what: text::unbracketed(what).to_owned() })? {
        Response::Evidence(file) => file,
        other => return Err(ClientError::unexpected(&other).into()),
    };
    let bytes = file.encode();
    // Who reads it is told what it is worth: so is who writes it, before it is handed on.
    let proof =
        evidence::examine(&bytes).map_err(|error| anyhow!("what is kept of that message is no evidence: {error}"))?;
    write_new(out, &bytes)?;
    let path = out.display().to_string();
    match output.form {
        Form::Json => out::json(&json!({
            "file": path,
            "id": proof.id,
            "receipts": file.receipts.len(),
            "cards": file.cards.len(),
            "later": file.later.len(),
            "rival": file.rival.is_some(),
        }))?,
        Form::Text => out::line(&output.view(Names::default()).exported(&path, &file, &proof))?,
    }
    Ok(Exit::Well)
}

/// Says what the file proves.
pub(super) fn verify(file: &Path, room: Option<RoomId>, output: Output) -> Result<Exit, Failure> {
    let path = file.display();
    let bytes = read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::misuse(format!("there is no file {path}; moot evidence export writes one")),
        kind => Failure::misuse(format!("cannot read {path}: {kind}")),
    })?;
    let proof = evidence::examine(&bytes).map_err(|error| anyhow!("{path} proves nothing: {error}"))?;
    if let Some(room) = room.filter(|room| *room != proof.room) {
        return Err(anyhow!("{path} proves nothing of room {room}: it is of room {}", proof.room).into());
    }
    match output.form {
        Form::Json => out::json(&proof)?,
        Form::Text => out::line(&output.view(Names::default()).proof(&proof))?,
    }
    Ok(if proof.proves.is_empty() { Exit::None } else { Exit::Well })
}

/// One byte more than a file of evidence may have tells that it is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let bound = u64::try_from(EVIDENCE_BYTES_MAX).expect("4 MiB is a number of 64 bits") + 1;
    let mut bytes = Vec::new();
    File::open(path)?.take(bound).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file that only its owner can read: there may be a private message in it.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let shown = path.display();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return anyhow!("{shown} is there already, and is left as it is; choose another name with --out");
        }
        if error.kind() == io::ErrorKind::NotFound {
            return anyhow!("cannot write {shown}: there is no such directory; make it, or choose another with --out");
        }
        anyhow!("cannot write {shown}: {}", error.kind())
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a file proves nothing and is in the way of the next try.
        let _ = fs::remove_file(path);
        anyhow!("cannot write {shown}: {}", error.kind()).into()
    })
}
