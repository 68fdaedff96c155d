//! A message that a node said, as a handle in the script.

use mlua::{MetaMethod, UserData, UserDataFields, UserDataMethods, Value};

pub(super) use crate::scenario::stage::Said;

use super::node::node;
use super::values::{shown, text_of};
use super::{Stop, fail};

impl UserData for Said {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("id", |_, said| Ok(said.id.to_string()));
        fields.add_field_method_get("text", |_, said| Ok(said.text.clone()));
        fields.add_field_method_get("by", |lua, said| node(lua, &said.by));
        fields.add_field_method_get("to", |lua, said| said.to.as_ref().map(|to| node(lua, to)).transpose());
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, said, ()| Ok(format!("{}: {}", said.by, said.text)));
        methods.add_meta_method(MetaMethod::Index, |lua, _, key: Value| -> mlua::Result<()> {
            let key = text_of(&key).unwrap_or_else(|| shown(&key));
            Err(fail(lua, Stop::script(format!("a message has no field {key}; there are id, text, by, to"))))
        });
    }
}
