//! What a person types for a member, turned into the member: a nick, `nick~` and the beginning of an id, or
//! an id. Owns the sentences for what is unknown or ambiguous.

use crate::base::MemberId;

/// Why a name stands for nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("{name} is not known here; moot who lists the members")]
    Unknown { name: String },
    #[error("{} members are called {name}; say which one: {}", choices.len(), choices.join(" or "))]
    Ambiguous { name: String, choices: Vec<String> },
}

/// A member with its nick.
pub(super) type Named = (MemberId, String);

/// Finds whom `name` means among `members`.
///
/// # Errors
/// [`NameError`].
pub(super) fn resolve(name: &str, members: &[Named]) -> Result<MemberId, NameError> {
    let called: Vec<&Named> = members.iter().filter(|(_, nick)| nick == name).collect();
    if called.is_empty() {
        return by_id(name, members);
    }
    one_of(name, &called)
}

fn by_id(name: &str, members: &[Named]) -> Result<MemberId, NameError> {
    let (nick, prefix) = match name.split_once(MARK) {
        Some((nick, prefix)) => (Some(nick), prefix),
        None => (None, name),
    };
    let prefix = prefix.to_ascii_lowercase();
    if prefix.len() < PREFIX_CHARS_MIN {
        return Err(NameError::Unknown { name: name.to_owned() });
    }
    let meant = |(id, known): &&Named| nick.is_none_or(|nick| nick == known) && id.to_string().starts_with(&prefix);
    one_of(name, &members.iter().filter(meant).collect::<Vec<_>>())
}

fn one_of(name: &str, found: &[&Named]) -> Result<MemberId, NameError> {
    match found {
        [] => Err(NameError::Unknown { name: name.to_owned() }),
        [(id, _)] => Ok(*id),
        several => Err(NameError::Ambiguous { name: name.to_owned(), choices: told_apart(several) }),
    }
}

/// The names with as much of the ids as it takes.
fn told_apart(members: &[&Named]) -> Vec<String> {
    let ids: Vec<String> = members.iter().map(|(id, _)| id.to_string()).collect();
    let chars = (PREFIX_CHARS_MIN..=ids[0].len())
        .find(|&chars| {
            let mut prefixes: Vec<&str> = ids.iter().map(|id| &id[..chars]).collect();
            prefixes.sort_unstable();
            prefixes.windows(2).all(|pair| pair[0] != pair[1])
        })
        .unwrap_or(ids[0].len());
    members.iter().zip(&ids).map(|((_, nick), id)| format!("{nick}{MARK}{}", &id[..chars])).collect()
}

/// Between a nick and the beginning of an id; no nick contains it.
const MARK: char = '~';
/// As much as the screen shows of an id.
const PREFIX_CHARS_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Vec<Named> {
        [(1, "ana"), (2, "bo"), (3, "bo"), (4, "cy")].map(|(byte, nick)| (MemberId([byte; 32]), nick.into())).to_vec()
    }

    fn id(byte: u8) -> MemberId {
        MemberId([byte; 32])
    }

    #[test]
    fn a_nick_of_one_member_is_that_member() {
        assert_eq!(resolve("ana", &members()), Ok(id(1)));
        assert!(matches!(resolve("Ana", &members()), Err(NameError::Unknown { .. })));
    }

    #[test]
    fn a_nick_of_two_is_refused_with_the_names_that_work() {
        let error = resolve("bo", &members()).unwrap_err();
        let (one, two) = (id(2).short(), id(3).short());
        assert_eq!(error.to_string(), format!("2 members are called bo; say which one: bo~{one} or bo~{two}"));
        assert_eq!(resolve(&format!("bo~{one}"), &members()), Ok(id(2)));
        assert_eq!(resolve(&format!("bo~{two}"), &members()), Ok(id(3)));
    }

    #[test]
    fn an_id_is_its_member_whole_or_by_its_beginning() {
        assert_eq!(resolve(&id(4).to_string(), &members()), Ok(id(4)));
        assert_eq!(resolve(&id(4).short(), &members()), Ok(id(4)));
        assert_eq!(resolve(&id(4).short().to_uppercase(), &members()), Ok(id(4)));
        assert!(resolve(&id(4).short()[..3], &members()).is_err());
    }

    #[test]
    fn who_is_unknown_is_said_to_be() {
        let told = "zoe is not known here; moot who lists the members";
        assert_eq!(resolve("zoe", &members()).unwrap_err().to_string(), told);
        assert!(resolve("", &members()).is_err());
        assert!(resolve("~", &members()).is_err());
        assert!(resolve(&format!("cy~{}", id(1).short()), &members()).is_err());
    }

    #[test]
    fn ids_that_begin_alike_are_shown_longer() {
        let mut twin = [2; 32];
        twin[5] = 9;
        let members = [(id(2), "bo".to_owned()), (MemberId(twin), "bo".to_owned())];
        let NameError::Ambiguous { choices, .. } = resolve("bo", &members).unwrap_err() else { panic!() };
        assert_ne!(choices[0], choices[1]);
        assert_eq!(resolve(&choices[1], &members), Ok(MemberId(twin)));
    }
}
