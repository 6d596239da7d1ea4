/* The load generator: N clients in a closed loop over one epoll, every answer checked.
 *
 *   load closed PORT REQUEST CLIENTS SECONDS COUNT EVENTS [ENDING]   ends after SECONDS, or after COUNT requests where COUNT > 0
 *   load paced  PORT REQUEST STREAMS RAMP_MS LENGTH_MS [ENDING]      opens them evenly over the ramp; lateness counts while all are open
 *   load abort  PORT REQUEST CLIENTS COUNT MAX_MS            leaves each stream after a random 0..MAX_MS, half of them by RST
 *
 * REQUEST is a file with the bytes to send. An answer must be 200; with EVENTS > 0 it must be a stream of at least that many
 * lines whose last says [DONE], or, with ENDING, that says so somewhere; else a whole with a JSON object. Prints one line of
 * JSON; times are microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD, LENGTH, SIZE, DATA, DATA_END, TRAILER, UNTIL_CLOSE };

struct client {
    int fd, state, status, busy, keep, used_before, head_used, lines, line_length, tail_used, aborting, tokens, ended;
    long left, size_line, body;
    char head[4096], tail[32], excerpt[160]; int excerpt_used;
    uint64_t started, first, leave_at, last_token;
};

struct samples { uint32_t *at; size_t count, size; };

static struct samples latency, first_byte, gap;
static char request[65536], failure[400];
static int request_length, poller, port, expected_events;
static long done, wrong, resent, opened, bytes, all_tokens;
static uint64_t window_from, window_to;
static const char *ending; /* what a whole stream says at its end, where it is not [DONE]; at most 31 bytes */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void sample(struct samples *s, uint64_t ns) {
    if (s->count == s->size) s->at = realloc(s->at, (s->size = s->size ? s->size * 2 : 1 << 16) * sizeof *s->at);
    s->at[s->count++] = ns / 100 > UINT32_MAX ? UINT32_MAX : ns / 100;
}

static int ascending(const void *a, const void *b) { uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b; return (x > y) - (x < y); }

static void print_samples(const char *name, struct samples *s) {
    if (!s->count) { printf(",\"%s\":null", name); return; }
    qsort(s->at, s->count, sizeof *s->at, ascending);
    printf(",\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"count\":%zu}", name, s->at[s->count / 2] / 10.0, s->at[(size_t)(s->count * 0.9)] / 10.0,
           s->at[(size_t)(s->count * 0.99)] / 10.0, s->at[s->count - 1] / 10.0, s->count);
}

static void fault(const char *what, struct client *c) {
    wrong++;
    if (failure[0]) return;
    int n = snprintf(failure, sizeof failure, "%s; status %d, %d lines, %ld body bytes: %.*s", what, c->status, c->lines, c->body,
                     c->excerpt_used ? c->excerpt_used : c->tail_used, c->excerpt_used ? c->excerpt : c->tail);
    for (int i = 0; i < n && i < (int)sizeof failure; i++)
        if (failure[i] == '"' || failure[i] == '\\' || (unsigned char)failure[i] < 32) failure[i] = '\'';
}

static void hang_up(struct client *c) { if (c->fd >= 0) close(c->fd); c->fd = -1; c->busy = 0; }

static void dial(struct client *c) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a)) {
        printf("{\"fatal\":\"cannot connect: %s\"}\n", strerror(errno));
        exit(1);
    }
    opened++;
    c->used_before = 0;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void ask(struct client *c) {
    if (c->fd < 0) dial(c);
    c->state = HEAD; c->busy = 1; c->head_used = c->lines = c->line_length = c->tail_used = c->excerpt_used = c->status = c->tokens = c->ended = 0;
    c->body = 0; c->first = c->last_token = 0;
    c->started = now_ns();
    if (send(c->fd, request, request_length, MSG_NOSIGNAL) == request_length) return;
    if (c->used_before) { hang_up(c); resent++; ask(c); return; }
    fault("the request was not taken", c);
    hang_up(c);
}

/* A kept connection that the server closed just as we wrote is nobody's fault: once more on a new one, the clock running on. */
static void ask_again(struct client *c) {
    uint64_t started = c->started;
    hang_up(c);
    ask(c);
    c->started = started;
    resent++;
}

/* Tokens that carry their send time: how long each was on its way, and the gap to the one before. */
static void time_tokens(struct client *c, const char *p, long n) {
    const char *end = p + n;
    uint64_t now = 0;
    while ((p = memmem(p, end - p, "@T", 2)) && p + 18 <= end) {
        uint64_t sent = 0;
        for (int i = 0; i < 16; i++) sent = sent * 10 + (p[2 + i] - '0');
        if (!now) now = now_ns();
        all_tokens++; c->tokens++;
        uint64_t at = sent * 1000;
        if (at >= window_from && at < window_to) {
            sample(&latency, now > at ? now - at : 0);
            if (c->last_token) sample(&gap, now - c->last_token);
        }
        c->last_token = now;
        p += 18;
    }
}

/* Whether the end was said, in this piece or across its seam with what came before. */
static void look_for_end(struct client *c, const char *p, long n) {
    char seam[64];
    int length = strlen(ending), before = c->tail_used < length - 1 ? c->tail_used : length - 1, after = n < length - 1 ? n : length - 1;
    memcpy(seam, c->tail + c->tail_used - before, before);
    memcpy(seam + before, p, after);
    if (memmem(p, n, ending, length) || memmem(seam, before + after, ending, length)) c->ended = 1;
}

static void take_body(struct client *c, const char *p, long n) {
    const char *end = p + n, *line;
    c->body += n; bytes += n;
    if (c->status != 200) {
        int room = (int)sizeof c->excerpt - c->excerpt_used, take = n < room ? n : room;
        memcpy(c->excerpt + c->excerpt_used, p, take);
        c->excerpt_used += take;
    }
    if (expected_events) {
        for (const char *q = p; q < end; q = line + 1) {
            line = memchr(q, '\n', end - q);
            if (!line) { c->line_length += end - q; break; }
            if (c->line_length + (line - q) > 1) c->lines++;
            c->line_length = 0;
        }
    }
    if (ending) look_for_end(c, p, n);
    int keep = (int)sizeof c->tail;
    if (n >= keep) { memcpy(c->tail, end - keep, keep); c->tail_used = keep; return; }
    if (c->tail_used + n > keep) { int cut = c->tail_used + n - keep; memmove(c->tail, c->tail + cut, c->tail_used - cut); c->tail_used -= cut; }
    memcpy(c->tail + c->tail_used, p, n);
    c->tail_used += n;
}

static void read_head(struct client *c) {
    c->head[c->head_used] = 0;
    c->status = atoi(c->head + 9);
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->keep = !strcasestr(c->head, "\r\nconnection: close");
    if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) { c->state = SIZE; c->size_line = 0; }
    else if (length) { c->left = atol(length + 17); c->state = LENGTH; }
    else { c->state = UNTIL_CLOSE; c->keep = 0; }
}

static void finish(struct client *c) {
    uint64_t now = now_ns();
    c->busy = 0;
    int last = c->tail_used - 1;
    while (last >= 0 && (c->tail[last] == '\n' || c->tail[last] == '\r')) last--;
    if (c->status != 200) fault("not 200", c);
    else if (expected_events && ending && !c->ended) fault("no end", c);
    else if (expected_events && !ending && (last < 11 || memcmp(c->tail + last - 11, "data: [DONE]", 12))) fault("no [DONE]", c);
    else if (expected_events && c->lines < expected_events) fault("too few events", c);
    else if (!expected_events && (c->body < 100 || c->tail[last] != '}')) fault("not the whole object", c);
    if (!window_to) { sample(&latency, now - c->started); if (c->first) sample(&first_byte, c->first - c->started); }
    done++;
    c->used_before = 1;
    if (!c->keep) hang_up(c);
}

/* Follow the answer through what was read: 1 when it is complete. */
static int follow(struct client *c, const char *p, long n) {
    const char *end = p + n;
    if (c->state == HEAD) {
        int room = (int)sizeof c->head - 1 - c->head_used, take = n < room ? n : room;
        memcpy(c->head + c->head_used, p, take);
        int before = c->head_used;
        c->head_used += take;
        char *stop = memmem(c->head, c->head_used, "\r\n\r\n", 4);
        if (!stop) return 0;
        p += stop + 4 - c->head - before;
        c->head_used = stop + 4 - c->head;
        read_head(c);
    }
    if (p < end && !c->first) c->first = now_ns();
    while (p < end || (c->state == LENGTH && c->left == 0)) {
        if (c->state == UNTIL_CLOSE) { take_body(c, p, end - p); return 0; }
        if (c->state == LENGTH || c->state == DATA) {
            long take = end - p < c->left ? end - p : c->left;
            take_body(c, p, take);
            p += take; c->left -= take;
            if (c->left == 0 && c->state == LENGTH) return 1;
            if (c->left == 0) { c->state = DATA_END; c->left = 2; }
        } else if (c->state == DATA_END) {
            long take = end - p < c->left ? end - p : c->left;
            p += take; c->left -= take;
            if (c->left == 0) { c->state = SIZE; c->size_line = 0; }
        } else if (c->state == SIZE) {
            char ch = *p++;
            if (ch == '\n') { c->left = c->size_line; if (c->left) c->state = DATA; else { c->state = TRAILER; c->left = 0; } }
            else if (ch >= '0' && ch <= '9') c->size_line = c->size_line * 16 + ch - '0';
            else if ((ch | 32) >= 'a' && (ch | 32) <= 'f') c->size_line = c->size_line * 16 + (ch | 32) - 'a' + 10;
        } else { /* TRAILER: an empty line ends it */
            char ch = *p++;
            if (ch == '\n') { if (c->left == 0) return 1; c->left = 0; }
            else if (ch != '\r') c->left++;
        }
    }
    return 0;
}

/* Read what has come: 1 when an answer was completed, -1 when the connection is gone, 0 otherwise. */
static int on_readable(struct client *c, int timed) {
    static char buffer[262144];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) {
        if (c->busy && c->used_before && c->state == HEAD && !c->head_used && !c->aborting) { ask_again(c); return 0; }
        int complete = n == 0 && c->busy && c->state == UNTIL_CLOSE;
        if (complete) finish(c);
        else if (c->busy && !c->aborting) fault(n ? strerror(errno) : "closed before the end", c);
        hang_up(c);
        return complete ? 1 : -1;
    }
    if (!c->busy) { hang_up(c); return 0; }
    if (timed) time_tokens(c, buffer, n);
    if (!follow(c, buffer, n)) return 0;
    finish(c);
    return 1;
}

static double closed(struct client *clients, int count, double seconds, long requests) {
    struct epoll_event events[256];
    uint64_t start = now_ns(), stop = start + (uint64_t)(seconds * 1e9), finished = 0;
    long asked = 0, in_time = 0, open = 0;
    for (int i = 0; i < count; i++) { ask(&clients[i]); asked++; open++; }
    while (open > 0) {
        int n = epoll_wait(poller, events, 256, 100);
        uint64_t now = now_ns();
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c->fd < 0) continue;
            int was_busy = c->busy, r = on_readable(c, 0);
            if (!r || !was_busy) continue;
            if (r > 0 && now < stop) in_time++;
            if (now < stop && wrong < 1000 && (!requests || asked < requests)) { ask(c); asked++; }
            else { open--; finished = now; }
        }
        if (now > stop + 20000000000u) { fault("still open 20 s after the end", &clients[0]); break; }
    }
    int to_the_end = finished && (requests || wrong >= 1000 || in_time < 20 * count); /* few answers: the unfinished ones would be lost */
    double elapsed = to_the_end ? (finished - start) / 1e9 : seconds;
    printf("{\"rate\":%.2f,\"elapsed\":%.4f", (to_the_end ? done : in_time) / elapsed, elapsed);
    return elapsed;
}

static void paced(struct client *clients, int count, int ramp_ms, int length_ms) {
    struct epoll_event events[512];
    for (int i = 0; i < count; i++) dial(&clients[i]);
    uint64_t start = now_ns(), limit = start + (ramp_ms + 3ull * length_ms + 20000) * 1000000u;
    window_from = start + (ramp_ms + 200) * 1000000ull;
    window_to = start + length_ms * 1000000ull;
    int asked = 0, open = count;
    while (open > 0) {
        uint64_t now = now_ns();
        while (asked < count && now - start >= (uint64_t)ramp_ms * 1000000u / count * asked) { ask(&clients[asked++]); now = now_ns(); }
        int n = epoll_wait(poller, events, 512, asked < count ? 1 : 100);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c->fd >= 0 && on_readable(c, 1)) open--;
        }
        if (now > limit) { fault("streams that never ended", &clients[0]); break; }
    }
    double elapsed = (now_ns() - start) / 1e9;
    printf("{\"streams\":%d,\"elapsed\":%.3f,\"unfinished\":%d,\"window_s\":%.2f,\"token_rate\":%.0f", count, elapsed, open, (window_to - window_from) / 1e9,
           latency.count / ((window_to - window_from) / 1e9));
}

static void leave(struct client *c) {
    struct linger now = {1, 0};
    if (rand() % 2) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    hang_up(c);
}

static void aborting(struct client *clients, int count, long total, int max_ms) {
    struct epoll_event events[256];
    uint64_t start = now_ns();
    long asked = 0, left = 0;
    while (left < total) {
        uint64_t now = now_ns();
        for (int i = 0; i < count; i++) {
            struct client *c = &clients[i];
            if (c->busy && now >= c->leave_at) { leave(c); left++; }
            if (!c->busy && asked < total) {
                hang_up(c);
                ask(c);
                c->aborting = 1; asked++;
                c->leave_at = now_ns() + (uint64_t)(rand() % (max_ms * 1000)) * 1000u;
            }
        }
        int n = epoll_wait(poller, events, 256, 1);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c->fd >= 0 && on_readable(c, 1)) { left++; hang_up(c); }
        }
    }
    double elapsed = (now_ns() - start) / 1e9;
    printf("{\"left\":%ld,\"elapsed\":%.3f,\"rate\":%.1f", left, elapsed, left / elapsed);
}

int main(int argc, char **argv) {
    if (argc < 7) { fprintf(stderr, "see load.c\n"); return 2; }
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r); r.rlim_cur = r.rlim_max; setrlimit(RLIMIT_NOFILE, &r);
    port = atoi(argv[2]);
    FILE *f = fopen(argv[3], "rb");
    if (!f) { perror(argv[3]); return 2; }
    request_length = fread(request, 1, sizeof request, f);
    fclose(f);
    int count = atoi(argv[4]);
    struct client *clients = calloc(count, sizeof *clients);
    for (int i = 0; i < count; i++) clients[i].fd = -1;
    poller = epoll_create1(EPOLL_CLOEXEC);
    srand(7);
    const char *name = "latency";
    if (!strcmp(argv[1], "closed")) {
        expected_events = atoi(argv[7]);
        if (argc > 8) ending = argv[8];
        closed(clients, count, atof(argv[5]), atol(argv[6]));
    } else if (!strcmp(argv[1], "paced")) {
        expected_events = 1;
        if (argc > 7) ending = argv[7];
        name = "transit";
        paced(clients, count, atoi(argv[5]), atoi(argv[6]));
    } else aborting(clients, count, atol(argv[5]), atoi(argv[6]));
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf(",\"done\":%ld,\"errors\":%ld,\"failure\":\"%s\",\"resent\":%ld,\"connections\":%ld,\"bytes\":%ld,\"tokens\":%ld,\"cpu\":%.4f", done, wrong, failure, resent, opened, bytes, all_tokens,
           u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    print_samples(name, &latency);
    print_samples("first_byte", &first_byte);
    print_samples("gap", &gap);
    printf("}\n");
    return 0;
}
