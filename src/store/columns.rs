//! Values as SQLite keeps them. Owns three forms: numbers, words (ids, outcomes, addresses: whatever serde
//! writes as one string) and lists as JSON. Knows no table.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize, Serialize};

/// A number of 64 bits. SQLite's are signed: what is past 2⁶³ shows there as negative and reads back as it
/// was, so what orders such columns puts those below zero last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Num(pub u64);

/// A value that serde writes as one string.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Word<T>(pub T);

/// A value as JSON text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Json<T>(pub T);

impl ToSql for Num {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Num {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|number| Self(number.cast_unsigned()))
    }
}

impl<T: Serialize> ToSql for Word<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match serde_json::to_value(&self.0) {
            Ok(serde_json::Value::String(word)) => Ok(word.into()),
            Ok(other) => Err(rusqlite::Error::ToSqlConversionFailure(format!("{other} is no word").into())),
            Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
        }
    }
}

impl<T: for<'de> Deserialize<'de>> FromSql for Word<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word: StrDeserializer<'_, WordError> = value.as_str()?.into_deserializer();
        T::deserialize(word).map(Self).map_err(FromSqlError::other)
    }
}

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0);
        text.map(Into::into).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::MemberId;
    use crate::messaging::Outcome;
    use rusqlite::Connection;

    #[test]
    fn values_read_back_and_people_can_read_them() {
        let db = Connection::open_in_memory().unwrap();
        let id = MemberId([7; 32]);
        let (number, word, list, text): (Num, Word<MemberId>, Json<Vec<u64>>, String) = db
            .query_row(
                "SELECT ?1, ?2, ?3, ?4",
                (Num(u64::MAX - 1), Word(id), Json(vec![1u64, u64::MAX]), Word(Outcome::Waiting)),
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        assert_eq!((number, word, list), (Num(u64::MAX - 1), Word(id), Json(vec![1, u64::MAX])));
        assert_eq!(text, "waiting");
    }
}
