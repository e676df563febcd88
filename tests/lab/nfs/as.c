/* as UID CMD...: runs a command as a user without groups. Without arguments it prints its effective user: for a copy with a setuid bit. */
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) {
        printf("%d\n", geteuid());
        return 0;
    }
    uid_t uid = atoi(argv[1]);
    if (setgroups(0, NULL) || setgid(uid) || setuid(uid)) {
        perror("as");
        return 1;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
