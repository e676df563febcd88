//! Short programs of others: a site's commands, and `ipmitool`.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Most of what a program says that is kept, in characters.
const MAX_SAID: usize = 2_000;
/// Most of it that is in memory, in bytes; the rest is read and dropped, so that the program never waits for us.
const MAX_BYTES: u64 = 64 * 1024;

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub said: String,
    /// What was wrong, with what it wrote to standard error; `None` if it succeeded.
    pub problem: Option<String>,
}

/// As [`run_to_end`], for programs that can only succeed or fail.
///
/// # Errors
/// As [`run_to_end`], and if it failed.
pub async fn run(argv: &[String], env: &[(&str, &str)], input: &[u8], limit: Duration) -> Result<String, String> {
    let ran = run_to_end(argv, env, input, limit).await?;
    ran.problem.map_or(Ok(ran.said), Err)
}

/// Runs a program with these environment variables and this on its standard input, and gives what it wrote to standard output. It is killed
/// when `limit` has passed, or when whoever waits for it gives up.
///
/// # Errors
/// A sentence that names the program, if it could not be started or did not end.
pub async fn run_to_end(argv: &[String], env: &[(&str, &str)], input: &[u8], limit: Duration) -> Result<Ran, String> {
    let Some((program, arguments)) = argv.split_first() else { return Err("there is no program to run".into()) };
    let mut command = Command::new(program);
    command.args(arguments).envs(env.iter().copied()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{program} could not be started: {error}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let talk = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input is none the worse for it.
                let _ = stdin.write_all(input).await;
            }
        };
        let ((), said, complained) = tokio::join!(write, bounded(stdout), bounded(stderr));
        Ok::<_, std::io::Error>((child.wait().await?, said?, complained?))
    };
    let (status, stdout, stderr) = match tokio::time::timeout(limit, talk).await {
        Err(_) => return Err(format!("{program} did not end within {} s", limit.as_secs())),
        Ok(Err(error)) => return Err(format!("{program}: {error}")),
        Ok(Ok(output)) => output,
    };
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().chars().take(MAX_SAID).collect::<String>();
    let problem = (!status.success()).then(|| format!("{program}: {status}: {}", said(&stderr)));
    Ok(Ran { code: status.code(), said: said(&stdout), problem })
}

async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let (mut bytes, Some(mut stream)) = (Vec::new(), stream) else { return Ok(Vec::new()) };
    (&mut stream).take(MAX_BYTES).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, limit: u64) -> Result<String, String> {
        let argv = ["sh", "-c", script].map(str::to_owned);
        run(&argv, &[("WHO", "node07")], b"input", Duration::from_secs(limit)).await
    }

    #[tokio::test]
    async fn what_a_program_says_and_how_it_fails() {
        assert_eq!(sh("echo $WHO; cat", 10).await.unwrap(), "node07\ninput");
        assert_eq!(sh("echo no >&2; exit 3", 10).await.unwrap_err(), "sh: exit status: 3: no");
        assert_eq!(sh("yes | head -c 1000000", 10).await.unwrap().len(), MAX_SAID, "and it ends, however much it says");
        assert_eq!(sh("sleep 100", 1).await.unwrap_err(), "sh did not end within 1 s");
        assert!(run(&["/nonexistent".into()], &[], b"", Duration::from_secs(1)).await.unwrap_err().contains("could not be started"));
    }
}
