//! The tool behind the gateway: reads every call whole and gives all the same small answer.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    thread,
};

use crate::{Result, http::Messages};

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"3 rows"}],"isError":false}}"#;

/// Serves until the process is ended.
pub fn serve(address: &str) -> Result<()> {
    let length = BODY.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
    );
    for connection in TcpListener::bind(address)?.incoming() {
        let (connection, answer) = (connection?, answer.clone());
        thread::spawn(move || answer_all(&connection, answer.as_bytes()));
    }
    Ok(())
}

fn answer_all(connection: &TcpStream, answer: &[u8]) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut calls = Messages::new(connection);
    let mut back = connection;
    while calls.next().ok()?.is_some() {
        back.write_all(answer).ok()?;
    }
    Some(())
}
