/* nfs-client CLIENTS URL LIST: mounts the directory and reads every file that LIST names (one a line) whole, once with each of CLIENTS
 * processes at the same time, by libnfs. Prints the bytes read by all; fails if a single read did. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nfsc/libnfs.h>

#define PIECE (1 << 20)

static char buffer[PIECE];

static int failed(struct nfs_context *nfs, const char *what) {
    fprintf(stderr, "nfs-client: %s: %s\n", what, nfs_get_error(nfs));
    return 1;
}

static int read_all(const char *address, const char *list, unsigned long long *bytes) {
    struct nfs_context *nfs = nfs_init_context();
    struct nfs_url *url = nfs_parse_url_dir(nfs, address);
    char line[4096];
    FILE *names = fopen(list, "r");
    if (!url || !names || nfs_mount(nfs, url->server, url->path)) return failed(nfs, "mount");
    while (fgets(line, sizeof line, names)) {
        struct nfsfh *file;
        int length;
        line[strcspn(line, "\n")] = 0;
        if (nfs_open(nfs, line, O_RDONLY, &file)) return failed(nfs, line);
        while ((length = nfs_read(nfs, file, sizeof buffer, buffer)) > 0) __sync_fetch_and_add(bytes, length);
        if (length < 0) return failed(nfs, line);
        nfs_close(nfs, file);
    }
    nfs_destroy_context(nfs);
    return 0;
}

int main(int argc, char **argv) {
    unsigned long long *bytes = mmap(NULL, sizeof *bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int clients, status, bad = 0;
    if (argc != 4) return 2;
    clients = atoi(argv[1]);
    for (int client = 0; client < clients; client++)
        if (fork() == 0) _exit(read_all(argv[2], argv[3], bytes));
    while (wait(&status) > 0) bad += status != 0;
    printf("%llu bytes, %d of %d clients failed\n", *bytes, bad, clients);
    return bad != 0;
}
