//! What Linux counts of a process, read from `/proc`.

/// User and system time: fields 14 and 15 of `/proc/PID/stat` (proc(5)).
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let number =
        |index: usize| -> u64 { fields.split_whitespace().nth(index).expect("a field").parse().expect("a number") };
    number(11) + number(12)
}

pub fn resident_kib(pid: u32) -> u64 {
    kib(pid, "VmRSS:")
}

/// Of that, what is its own: the rest are pages of files, the program's above all, which all its processes share.
pub fn private_kib(pid: u32) -> u64 {
    kib(pid, "RssAnon:")
}

/// The most that it ever had resident.
pub fn peak_resident_kib(pid: u32) -> u64 {
    kib(pid, "VmHWM:")
}

fn kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
    line.split_whitespace().nth(1).expect("a field").parse().expect("a number")
}
