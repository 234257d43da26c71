use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;

use super::Entry;

/// A file with an entry a line, which many clients write to at the same time.
pub struct Journal {
    lines: Option<Sender<(String, oneshot::Sender<()>)>>,
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// A new one.
    pub fn create(path: &Path) -> Self {
        let file = OpenOptions::new().append(true).create_new(true).open(path).unwrap();
        let (lines, waiting) = channel();
        Self { lines: Some(lines), writer: Some(thread::spawn(move || write(file, &waiting))) }
    }

    /// Done when the disk has it.
    pub async fn write(&self, entry: &Entry) {
        let line = serde_json::to_string(entry).unwrap();
        let (done, synced) = oneshot::channel();
        self.lines.as_ref().expect("it is open").send((line, done)).unwrap();
        synced.await.expect("the journal is written");
    }

    /// What the file at `path` holds.
    pub fn read(path: &Path) -> Vec<Entry> {
        let lines = BufReader::new(File::open(path).unwrap()).lines();
        lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }
}

/// Writes what waits, and syncs it together.
fn write(mut file: File, waiting: &Receiver<(String, oneshot::Sender<()>)>) {
    while let Ok(first) = waiting.recv() {
        let together: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let text: String = together.iter().flat_map(|(line, _)| [line.as_str(), "\n"]).collect();
        file.write_all(text.as_bytes()).unwrap();
        file.sync_data().unwrap();
        for (_, done) in together {
            // Its client may have been dropped.
            let _ = done.send(());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
