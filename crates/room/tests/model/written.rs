//! The lines of a counterexample.

use sluicegate_proto::pb;
use sluicegate_room::{Input, Output};

pub fn input(input: &Input) -> String {
    match input {
        Input::Join(join) => format!("{} joins {:?} {:?}", join.identity, join.connection, join.mode),
        Input::Signal { connection, request } => format!("{connection:?} {}", json(&**request)),
        Input::Api { call, .. } => format!("api {call:?}"),
        other => format!("{other:?}"),
    }
}

/// None: it has nothing to do with what is compared.
pub fn output(output: &Output) -> Option<String> {
    Some(match output {
        Output::Signal { connections, response } => format!("{connections:?} < {}", json::<pb::SignalResponse>(response)),
        Output::RefreshToken { connection, token } => format!("{connection:?} < refresh_token {:?}", token.video),
        Output::ApiAnswer { answer: Ok(_), .. } => "answer ok".to_owned(),
        Output::Snapshot(_) | Output::Happened(_) => return None,
        other => format!("{other:?}"),
    })
}

fn json<M: serde::Serialize>(message: &M) -> String {
    serde_json::to_string(message).unwrap()
}
