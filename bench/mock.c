/* The mock upstream: an OpenAI-shaped engine that costs next to nothing.
 *
 *   mock [interval_us]     listens on a free port of 127.0.0.1 and prints it; ends when its standard input closes
 *
 * POST anything: the reply is chosen by "model" in the body.
 *   sN   a stream of N content chunks at once, one send() a chunk, where "stream": true was asked; else a whole reply
 *   pN   the same, paced: a token every interval_us (20,000 unless given), holding the send time as @T<16 digits of monotonic us>
 *   else a whole reply whose body is 400 bytes, whatever was asked
 * GET /v1/models lists them; GET /stats tells what is open; any other GET is 200 with {"status":"ok"}.
 * Chunks have the shape of llama.cpp's server; stream_options.include_usage is honoured; connections are kept alive.
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

#define WHOLE_BODY 400
#define CREATED "1795196419"
#define TAIL ",\"created\":" CREATED ",\"id\":\"chatcmpl-IOf9rKJZDxRTI0K9uUKSyjRHLPn5Pt3n\",\"model\":\"%s\",\"system_fingerprint\":\"b11549-0000000\",\"object\":\"chat.completion.chunk\""

struct piece { char *data; int length; int stamp; }; /* stamp: where the 16 digits of the send time go, or -1 */

struct script { /* one model's stream, framed for HTTP, ready to send */
    char name[32];
    int paced, count, plain_count; /* plain_count: pieces before the usage chunk */
    struct piece *pieces;
    struct script *next;
};

struct conn {
    int fd, used, size, index, offset, usage, streaming;
    char *in;
    struct script *script;
    uint64_t due;
    struct conn *next;
    const char *whole; int whole_left;
    int gone;
};

static struct script *scripts;
static struct conn *queue_head, *queue_tail, *graveyard;
static uint64_t interval_us = 20000, late_us;
static long open_connections, open_streams, requests, left_early, tokens;
static int poller;
static char whole_reply[2048]; static int whole_length;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + t.tv_nsec / 1000;
}

static void add_piece(struct script *s, const char *event) {
    struct piece *p = &s->pieces[s->count++];
    int length = strlen(event);
    p->data = malloc(length + 32);
    p->length = sprintf(p->data, "%x\r\n%s\r\n", length, event);
    char *mark = strstr(p->data, "@T");
    p->stamp = mark ? (int)(mark + 2 - p->data) : -1;
}

static struct script *script_for(const char *name) {
    for (struct script *s = scripts; s; s = s->next)
        if (!strcmp(s->name, name)) return s;
    struct script *s = calloc(1, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name);
    s->paced = name[0] == 'p';
    int n = atoi(name + 1);
    s->pieces = calloc(n + 6, sizeof *s->pieces);
    char event[1024], content[64];
    snprintf(event, sizeof event, "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]" TAIL "}\n\n", name);
    add_piece(s, event);
    for (int i = 0; i < n; i++) {
        if (s->paced) strcpy(content, " @T0000000000000000");
        else snprintf(content, sizeof content, " tok%d", i);
        snprintf(event, sizeof event, "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\"%s\"}}]" TAIL "}\n\n", content, name);
        add_piece(s, event);
    }
    snprintf(event, sizeof event, "data: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}]" TAIL "}\n\n", name);
    add_piece(s, event);
    s->plain_count = s->count;
    snprintf(event, sizeof event, "data: {\"choices\":[]" TAIL ",\"usage\":{\"completion_tokens\":%d,\"prompt_tokens\":64,\"total_tokens\":%d}}\n\n", name, n, n + 64);
    add_piece(s, event);
    add_piece(s, "data: [DONE]\n\n");
    struct piece *last = &s->pieces[s->count++];
    last->data = strdup("0\r\n\r\n"); last->length = 5; last->stamp = -1;
    s->next = scripts;
    return scripts = s;
}

static void build_whole(void) {
    char body[2 * WHOLE_BODY], text[WHOLE_BODY];
    const char *form = "{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"}}],\"created\":" CREATED
                       ",\"model\":\"whole\",\"object\":\"chat.completion\",\"usage\":{\"completion_tokens\":20,\"prompt_tokens\":64,\"total_tokens\":84},\"id\":\"chatcmpl-IOf9rKJZDxRTI0K9\"}";
    int fill = WHOLE_BODY - (int)(strlen(form) - 2), n = 0;
    const char *words = "The front door of a house is where its guests come in. ";
    for (; n < fill; n++) text[n] = words[n % strlen(words)];
    text[n] = 0;
    snprintf(body, sizeof body, form, text);
    whole_length = snprintf(whole_reply, sizeof whole_reply, "HTTP/1.1 200 OK\r\nServer: mock\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", (int)strlen(body), body);
}

static void drop(struct conn *c) {
    if (c->gone) return;
    c->gone = 1;
    if (c->streaming) { open_streams--; left_early++; }
    open_connections--;
    close(c->fd);
    if (c->streaming && c->script->paced) return; /* still in the queue: freed when its turn comes */
    c->next = graveyard; graveyard = c; /* freed after this round: events of it may still be listed */
}

static void enqueue(struct conn *c) {
    c->next = NULL;
    if (queue_tail) queue_tail->next = c; else queue_head = c;
    queue_tail = c;
}

/* Send the piece at c->index: 1 sent, 0 must wait, -1 connection lost. */
static int send_piece(struct conn *c) {
    struct piece *p = &c->script->pieces[c->index];
    if (p->stamp >= 0 && c->offset == 0) {
        uint64_t t = now_us();
        for (int i = 15; i >= 0; i--, t /= 10) p->data[p->stamp + i] = '0' + t % 10;
    }
    ssize_t n = send(c->fd, p->data + c->offset, p->length - c->offset, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    c->offset += n;
    if (c->offset < p->length) return 0;
    c->offset = 0;
    c->index++;
    if (!c->usage && c->index == c->script->plain_count) c->index++;
    return 1;
}

static void end_stream(struct conn *c) { c->streaming = 0; open_streams--; }

static void stream_all(struct conn *c) {
    while (c->index < c->script->count) {
        int r = send_piece(c);
        if (r < 0) { drop(c); return; }
        if (r == 0) return;
    }
    end_stream(c);
}

/* One turn of a paced stream: the next token, and at the end everything after the last. */
static void pace(struct conn *c) {
    struct script *s = c->script;
    do {
        int r = send_piece(c);
        if (r < 0) { drop(c); c->next = graveyard; graveyard = c; return; }
        if (r == 0) break;
        tokens++;
    } while (c->index >= s->plain_count - 1 && c->index < s->count);
    if (c->index >= s->count) { end_stream(c); return; }
    c->due += interval_us;
    enqueue(c);
}

static void push_whole(struct conn *c) {
    ssize_t n = send(c->fd, c->whole, c->whole_left, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) { drop(c); return; }
    if (n > 0) { c->whole += n; c->whole_left -= n; }
}

static void answer_get(struct conn *c, const char *path) {
    static char out[1024];
    char body[512];
    if (!strncmp(path, "/stats", 6))
        snprintf(body, sizeof body, "{\"connections\":%ld,\"streams\":%ld,\"requests\":%ld,\"left_early\":%ld,\"tokens\":%ld,\"late_us\":%lu}",
                 open_connections - 1, open_streams, requests, left_early, tokens, (unsigned long)late_us);
    else if (!strncmp(path, "/v1/models", 10))
        snprintf(body, sizeof body, "{\"object\":\"list\",\"data\":[{\"id\":\"whole\",\"object\":\"model\",\"created\":" CREATED ",\"owned_by\":\"mock\"},"
                 "{\"id\":\"s200\",\"object\":\"model\",\"created\":" CREATED ",\"owned_by\":\"mock\"},{\"id\":\"s40\",\"object\":\"model\",\"created\":" CREATED ",\"owned_by\":\"mock\"}]}");
    else
        snprintf(body, sizeof body, "{\"status\":\"ok\",\"model_path\":\"whole\",\"served_model_name\":\"whole\",\"model_id\":\"whole\"}");
    int n = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", (int)strlen(body), body);
    c->whole = out; c->whole_left = n;
    push_whole(c);
    if (strncmp(path, "/stats", 6) == 0) late_us = 0;
}

static int flag(const char *body, int length, const char *key) {
    const char *p = memmem(body, length, key, strlen(key));
    if (!p) return 0;
    for (p += strlen(key); p < body + length && (*p == ' ' || *p == ':'); p++) {}
    return p < body + length && *p == 't';
}

static void answer_post(struct conn *c, const char *body, int length) {
    char model[32] = "";
    const char *p = memmem(body, length, "\"model\"", 7);
    requests++;
    if (p) {
        for (p += 7; p < body + length && *p != '"'; p++) {}
        int n = 0;
        for (p++; p < body + length && *p != '"' && n < 31; p++) model[n++] = *p;
        model[n] = 0;
    }
    int scripted = (model[0] == 's' || model[0] == 'p') && atoi(model + 1) > 0;
    if (!scripted || !flag(body, length, "\"stream\"")) {
        c->whole = whole_reply; c->whole_left = whole_length;
        push_whole(c);
        return;
    }
    static const char head[] = "HTTP/1.1 200 OK\r\nServer: mock\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    c->script = script_for(model);
    c->usage = flag(body, length, "\"include_usage\"");
    c->index = c->offset = 0;
    c->streaming = 1;
    open_streams++;
    if (send(c->fd, head, sizeof head - 1, MSG_NOSIGNAL) < 0) { c->script->paced ? (void)enqueue(c) : (void)0; drop(c); return; }
    if (c->script->paced) { c->due = now_us(); enqueue(c); }
    else stream_all(c);
}

/* Answer one request if it is whole: the bytes it took, or 0. */
static int take_request(struct conn *c) {
    char *end = memmem(c->in, c->used, "\r\n\r\n", 4);
    if (!end) return 0;
    int head = end + 4 - c->in, body = 0;
    *end = 0;
    char *length = strcasestr(c->in, "\r\ncontent-length:"), *chunked = strcasestr(c->in, "\r\ntransfer-encoding: chunked"), *expect = strcasestr(c->in, "\r\nexpect: 100");
    if (length) body = atoi(length + 17);
    *end = '\r';
    if (chunked) {
        char *last = memmem(c->in + head - 2, c->used - head + 2, "\r\n0\r\n\r\n", 7);
        if (!last) return 0;
        body = last + 7 - (c->in + head);
    }
    if (expect && c->used == head) { if (send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) < 0) return 0; }
    if (c->used < head + body) return 0;
    if (!strncmp(c->in, "POST ", 5)) answer_post(c, c->in + head, body);
    else if (!strncmp(c->in, "GET ", 4)) answer_get(c, c->in + 4);
    else drop(c); /* HTTP/2 and the like: some gateways try it first */
    return head + body;
}

static void on_readable(struct conn *c) {
    for (;;) {
        if (c->used == c->size) c->in = realloc(c->in, c->size *= 2);
        int room = c->size - c->used;
        ssize_t n = recv(c->fd, c->in + c->used, room, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) { drop(c); return; }
        if (n < 0) return;
        c->used += n;
        while (c->used && !c->gone && !c->streaming) {
            int took = take_request(c);
            if (!took) break;
            memmove(c->in, c->in + took, c->used - took);
            c->used -= took;
        }
        if (c->gone || n < room) return; /* a short read: nothing more is there */
    }
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct conn *c = calloc(1, sizeof *c);
        c->fd = fd; c->size = 2048; c->in = malloc(c->size);
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
        open_connections++;
    }
}

static int run_due(void) { /* milliseconds until the next token is due, -1 for none */
    while (queue_head) {
        struct conn *c = queue_head;
        uint64_t now = now_us();
        if (!c->gone && c->due > now) return (int)((c->due - now + 999) / 1000);
        queue_head = c->next;
        if (!queue_head) queue_tail = NULL;
        if (c->gone) { c->next = graveyard; graveyard = c; continue; }
        if (now - c->due > late_us) late_us = now - c->due;
        pace(c);
    }
    return -1;
}

int main(int argc, char **argv) {
    if (argc > 1) interval_us = atol(argv[1]);
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r); r.rlim_cur = r.rlim_max; setrlimit(RLIMIT_NOFILE, &r);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    if (bind(listener, (struct sockaddr *)&a, size) || listen(listener, 16384)) { perror("mock: listen"); return 1; }
    getsockname(listener, (struct sockaddr *)&a, &size);
    build_whole();
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    poller = epoll_create1(EPOLL_CLOEXEC);
    static int tags[2];
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &tags[0]};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    e.data.ptr = &tags[1];
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &e);
    struct epoll_event events[512];
    for (;;) {
        int n = epoll_wait(poller, events, 512, run_due());
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &tags[0]) { accept_all(listener); continue; }
            if (events[i].data.ptr == &tags[1]) { char b[64]; if (read(0, b, sizeof b) <= 0) return 0; continue; }
            struct conn *c = events[i].data.ptr;
            if (c->gone) continue;
            if (events[i].events & (EPOLLHUP | EPOLLERR)) { drop(c); continue; }
            if (c->whole_left) push_whole(c);
            if (c->streaming && !c->script->paced) stream_all(c);
            if (!c->gone && events[i].events & (EPOLLIN | EPOLLRDHUP)) on_readable(c);
        }
        while (graveyard) { struct conn *c = graveyard; graveyard = c->next; free(c->in); free(c); }
    }
}
