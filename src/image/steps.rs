//! What is done inside an image, as shell scripts. Pure; every value of a recipe is quoted.

use std::path::Path;

use crate::domain::image::{Recipe, User};

/// One thing that is done inside the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Such as `making users`.
    pub name: String,
    /// For `sh -eu`.
    pub script: String,
}

/// All that a recipe asks for once packages and files are there, in order.
pub fn of(recipe: &Recipe) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |name: &str, script: String| steps.push(Step { name: name.to_owned(), script });
    if let Some(zone) = &recipe.time_zone {
        add("setting the time zone", time_zone(zone));
    }
    for user in &recipe.users {
        add(&format!("making user {}", user.name), self::user(user));
    }
    if !recipe.enable.is_empty() {
        add("enabling services", format!("systemctl enable -- {}", words(&recipe.enable)));
    }
    if !recipe.disable.is_empty() {
        add("disabling services", format!("systemctl disable -- {}", words(&recipe.disable)));
    }
    for command in &recipe.commands {
        add(&format!("running `{}`", command.lines().next().unwrap_or_default()), command.clone());
    }
    steps
}

fn time_zone(zone: &str) -> String {
    let (file, zone) = (quote(&format!("/usr/share/zoneinfo/{zone}")), quote(zone));
    format!(
        "[ -f {file} ] || {{ echo \"no time zone of this name; is the package tzdata among the image's?\" >&2; exit 1; }}\n\
         ln -sf {file} /etc/localtime\necho {zone} >/etc/timezone\n"
    )
}

fn user(user: &User) -> String {
    let name = quote(&user.name);
    let mut script = String::new();
    for group in &user.groups {
        let group = quote(group);
        script += &format!("getent group {group} >/dev/null || groupadd {group}\n");
    }
    let uid = user.uid.map(|uid| format!(" --uid {uid}")).unwrap_or_default();
    let shell = user.shell.as_deref().unwrap_or(Path::new("/bin/bash"));
    let shell = quote(&shell.display().to_string());
    script += &format!("getent passwd {name} >/dev/null || useradd --create-home --shell {shell}{uid} {name}\n");
    if user.shell.is_some() {
        script += &format!("usermod --shell {shell} {name}\n");
    }
    if !user.groups.is_empty() {
        script += &format!("usermod --append --groups {} {name}\n", quote(&user.groups.join(",")));
    }
    if let Some(hash) = &user.password_hash {
        script += &format!("echo {} | chpasswd --encrypted\n", quote(&format!("{}:{hash}", user.name)));
    }
    if !user.ssh_keys.is_empty() {
        let keys = quote(&user.ssh_keys.join("\n"));
        script += &format!(
            "home=$(getent passwd {name} | cut -d: -f6)\ngroup=$(id -g {name})\n\
             install -d -m 0700 -o {name} -g \"$group\" \"$home/.ssh\"\n\
             printf '%s\\n' {keys} >\"$home/.ssh/authorized_keys\"\n\
             chmod 600 \"$home/.ssh/authorized_keys\"\nchown {name}:\"$group\" \"$home/.ssh/authorized_keys\"\n"
        );
    }
    script
}

/// Makes the initial RAM disk of the kernel `$1`, with whichever program the image has.
pub const INITRAMFS: &str = r#"
rm -f /boot/initrd.img-* /boot/initramfs-*.img
[ -e "/boot/vmlinuz-$1" ] || cp -p "/usr/lib/modules/$1/vmlinuz" "/boot/vmlinuz-$1"
if command -v update-initramfs >/dev/null; then
    update-initramfs -c -k "$1"
elif command -v dracut >/dev/null; then
    dracut --force --no-hostonly --reproducible "/boot/initrd.img-$1" "$1"
else
    echo "the image has neither initramfs-tools nor dracut: add one to the recipe's packages" >&2
    exit 1
fi
# Nobody but root reads it: it may hold keys.
chmod 600 "/boot/initrd.img-$1"
"#;

/// Takes away what differs from build to build or must differ from node to node: caches, logs, identities.
pub const CLEAN: &str = r"
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old \
    /var/lib/dpkg/*-old /var/lib/systemd/random-seed /var/lib/dbus/machine-id /etc/hostname /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub \
    /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid- /root/.bash_history /root/.lesshst /var/tmp/* \
    /etc/apt/apt.conf.d/99mmdebstrap /etc/dpkg/dpkg.cfg.d/99mmdebstrap \
    /var/cache/dnf /var/cache/libdnf5 /var/cache/yum /var/lib/dnf/history.sqlite* /var/lib/dnf/repos /var/lib/rpm/.rpm.lock \
    /usr/lib/sysimage/rpm/.rpm.lock
if [ -f /etc/apt/sources.list.d/kickctl.sources ]; then
    rm -f /etc/apt/sources.list
fi
find /var/log -type f -delete
if [ -e /etc/machine-id ]; then
    : >/etc/machine-id
fi
";

/// A word of a shell command that is taken as it is.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn words<'a>(items: impl IntoIterator<Item = &'a String>) -> String {
    items.into_iter().map(|item| quote(item)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixture;

    #[test]
    fn a_recipe_becomes_steps_in_the_order_in_which_they_depend_on_each_other() {
        let mut recipe = fixture::recipe();
        recipe.time_zone = Some("Europe/Berlin".to_owned());
        recipe.users.push(User { name: "ada".to_owned(), ..fixture::user() });
        recipe.enable.insert("slurmd.service".to_owned());
        recipe.disable.insert("cron.service".to_owned());
        recipe.commands = vec!["make -C /opt".to_owned(), "true".to_owned()];
        let names: Vec<String> = of(&recipe).into_iter().map(|step| step.name).collect();
        let order = ["setting the time zone", "making user ada", "enabling services", "disabling services", "running `make -C /opt`"];
        assert_eq!(names[..5], order);
        assert_eq!(names.len(), 6);
    }

    #[test]
    fn a_shell_takes_every_script_and_no_value_can_break_out_of_it() {
        let mut recipe = fixture::recipe();
        recipe.time_zone = Some("'; rm -rf / #".to_owned());
        recipe.users.push(User {
            name: "ada".to_owned(),
            uid: Some(1000),
            groups: vec!["sudo".to_owned()],
            shell: Some("/bin/sh".into()),
            password_hash: Some("$6$a$b'c".to_owned()),
            ssh_keys: vec!["ssh-ed25519 AAAA it's mine".to_owned()],
        });
        for step in of(&recipe).iter().map(|step| step.script.as_str()).chain([INITRAMFS, CLEAN]) {
            let checked = std::process::Command::new("dash").args(["-n", "-c", step]).output().unwrap();
            assert!(checked.status.success(), "{step}\n{}", String::from_utf8_lossy(&checked.stderr));
        }
        assert!(time_zone("'; x").contains(r"'/usr/share/zoneinfo/'\''; x'"));
    }
}
